"""The body of an answer, read by Python."""

from typing import Any

from pyodide.ffi import JsException

from qwen_worker.platform import promises
from qwen_worker.platform.interop import absent
from qwen_worker.platform.ports import StreamBroken


class WorkerBodyReader:
    """Qwen's body."""

    __slots__ = ("_reader", "body")

    def __init__(self, body: Any) -> None:
        """Takes the body of a JavaScript Response; null counts as empty."""
        self.body = None if absent(body) else body
        self._reader = None if self.body is None else self.body.getReader()

    async def read(self) -> bytes | None:
        if self._reader is None:
            return None
        try:
            step = await promises.read(self._reader)
        except JsException:
            raise StreamBroken from None
        return None if step.done else step.value.to_bytes()

    def release(self) -> Any:
        """The body for somebody else to read."""
        if self._reader is not None:
            self._reader.releaseLock()
        return self.body
