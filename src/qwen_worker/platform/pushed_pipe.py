"""The pipe of the embedded runtime, and of translated streams on every runtime."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from qwen_worker.platform.body_reader import WorkerBodyReader
from qwen_worker.platform.pushing import Outlet, Pusher

if TYPE_CHECKING:
    from qwen_worker.platform.protocols import BodyReader


class PushedPipe:
    """All that is relayed passes through Python: what gathers within TRANSLATE_SECONDS, at once. On the
    embedded runtime that costs half of what the standard TransformStream does.
    """

    __slots__ = ("_outlet", "_pusher", "heard", "readable")

    def __init__(self) -> None:
        self._outlet = Outlet()
        self.readable = self._outlet.readable
        self.heard = 0
        self._pusher: Pusher | None = None

    async def write(self, data: bytes) -> None:
        self._outlet.send(data)

    def relay(
        self,
        source: "BodyReader",
        head: bytes,
        seen: Callable[[bytes], None] | None = None,
        is_over: Callable[[], bool] = bool,
    ) -> Coroutine[Any, Any, None]:
        def show(data: bytes) -> bytes:
            if seen is not None:
                seen(data)
            return data

        return self.translate(source, head, show, bool)

    def translate(
        self, source: "BodyReader", head: bytes, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> Coroutine[Any, Any, None]:
        self._pusher = pusher = Pusher(self, self._outlet, feed, is_over)
        pusher.begin(head)
        return pusher.run(cast(WorkerBodyReader, source))

    def look(self) -> None:
        # What comes is shown anyway.
        if self._pusher is not None:
            self._pusher.look_for_client()

    def close(self) -> None:
        self._outlet.close()
