"""The body of an answer, read by Python."""

from typing import Any

from pyodide.ffi import JsException

from qwen_worker.platform import promises
from qwen_worker.platform.interop import absent
from qwen_worker.platform.ports import StreamBroken


class WorkerBodyReader:
    """Qwen's body."""

    __slots__ = ("body", "reader")

    def __init__(self, body: Any) -> None:
        """Takes the body of a JavaScript Response; null counts as empty."""
        self.body = None if absent(body) else body
        self.reader = None if self.body is None else self.body.getReader()
        """A JavaScript reader."""

    async def read(self) -> bytes | None:
        if self.reader is None:
            return None
        try:
            step = await promises.read(self.reader)
        except JsException:
            raise StreamBroken from None
        return None if step.done else step.value.to_bytes()

    def release(self) -> Any:
        """The body for somebody else to read."""
        if self.reader is not None:
            self.reader.releaseLock()
        return self.body
