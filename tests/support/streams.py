"""Streams in plain Python: a body that a test writes, and a pipe whose output a test reads."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from qwen_worker.platform.ports import TRANSLATE_SECONDS, BodyReader, StreamBroken


class ScriptedBody:
    """A body of Qwen's: bytes that arrive one by one, pauses, and an exception if it breaks."""

    def __init__(self, *script: bytes | float | Exception) -> None:
        self._script = deque(script)
        self._cancelled = asyncio.Event()

    async def read(self) -> bytes | None:
        """The next piece; a number in the script is a pause in seconds."""
        while self._script:
            step = self._script.popleft()
            if self._cancelled.is_set():
                raise StreamBroken
            if isinstance(step, bytes):
                await asyncio.sleep(0)
                return step
            if isinstance(step, Exception):
                raise step
            await self._pause(step)
        return None

    def cancel(self) -> None:
        """What the runtime does when the connection is closed: whoever reads is told at once."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether our side has closed the connection."""
        return self._cancelled.is_set()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._cancelled.wait(), seconds)
        except TimeoutError:
            return
        raise StreamBroken


class StreamResponse:
    """A 200 of Qwen's with a ScriptedBody."""

    def __init__(self, *script: bytes | float | Exception, headers: dict[str, str] | None = None) -> None:
        self.status = 200
        self.body = ScriptedBody(*script)
        self._headers = headers or {"content-type": "text/event-stream"}

    buffer = None

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def reader(self) -> ScriptedBody:
        return self.body

    def cancel(self) -> None:
        self.body.cancel()

    async def text(self, limit_bytes: int = 65_536) -> str:
        raise AssertionError("a stream is not read as text")

    async def whole(self, limit_bytes: int) -> tuple[bytes, BodyReader | None]:
        raise AssertionError("a stream is not read as a whole")

    def end_timeout(self) -> None:
        self.has_timeout = False


class MemoryPipe:
    """A pipe into memory."""

    def __init__(self) -> None:
        self._output = bytearray()
        self._unseen = bytearray()
        self._seen: Callable[[bytes], None] | None = None
        self._is_looking = False
        self._waiting: list[asyncio.Event] = []
        self.heard = 0
        self.is_closed = False
        self.is_translated = False
        self.looks = 0
        self.most_unseen = 0
        """How many bytes were once held for the next look."""
        self.writes: list[bytes] = []
        """What Python sent, apart from what was relayed natively or translated."""

    @property
    def readable(self) -> "MemoryPipe":
        return self

    async def write(self, data: bytes) -> None:
        assert not self.is_closed, "written after the end"
        self.writes.append(data)
        self._put(data)
        await asyncio.sleep(0)

    def relay(
        self,
        source: BodyReader,
        head: bytes,
        seen: Callable[[bytes], None] | None = None,
        is_over: Callable[[], bool] = bool,
    ) -> Coroutine[Any, Any, None]:
        self._seen = seen
        self._pass_on(head)
        return self._relay_rest(source)

    async def _relay_rest(self, source: BodyReader) -> None:
        try:
            while (piece := await source.read()) is not None:
                self._pass_on(piece)
        finally:
            self.look()

    def translate(
        self, source: BodyReader, head: bytes, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> Coroutine[Any, Any, None]:
        self.is_translated = True
        self._put(feed(head))
        return self._translate_rest(source, feed, is_over)

    async def _translate_rest(
        self, source: BodyReader, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> None:
        """As the real one: sends the next text at once, and collects what follows."""
        while not is_over():
            piece = await source.read()
            if piece is None:
                return
            self.heard += len(piece)
            out = feed(piece)
            self._put(out)
            if out:
                break
        await self._gather(source, feed, is_over)

    async def _gather(
        self, source: BodyReader, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> None:
        now = asyncio.get_running_loop().time
        gathered = b""
        due = 0.0
        reading = asyncio.ensure_future(source.read())
        try:
            while not is_over():
                await asyncio.wait((reading,), timeout=due - now() if gathered else None)
                if reading.done():
                    piece = reading.result()
                    if piece is None:
                        break
                    due = due if gathered else now() + TRANSLATE_SECONDS
                    gathered += piece
                    self.heard += len(piece)
                    reading = asyncio.ensure_future(source.read())
                if now() >= due:
                    self._put(feed(gathered))
                    gathered = b""
        finally:
            reading.cancel()
            if gathered and not is_over():
                self._put(feed(gathered))

    def look(self) -> None:
        if self._seen is None:
            return
        self.looks += 1
        self._is_looking = not self._unseen
        if self._unseen:
            self._show()

    def _pass_on(self, piece: bytes) -> None:
        self._put(piece)
        self._unseen += piece
        self.most_unseen = max(self.most_unseen, len(self._unseen))
        if self._is_looking:
            self._is_looking = False
            self._show()

    def _show(self) -> None:
        assert self._seen is not None
        piece = bytes(self._unseen)
        self._unseen.clear()
        self.heard += len(piece)
        self._seen(piece)

    def close(self) -> None:
        self.is_closed = True
        self._wake()

    async def content(self) -> bytes:
        """Everything that the client gets, once the response has ended."""
        while not self.is_closed:
            await self._change()
        return bytes(self._output)

    async def first_bytes(self) -> bytes:
        """What the client has got, as soon as there is something."""
        while not self._output:
            await self._change()
        return bytes(self._output)

    async def _change(self) -> None:
        # Each waiter has an Event of its own: it would miss one that another waiter clears.
        changed = asyncio.Event()
        self._waiting.append(changed)
        await changed.wait()

    def _put(self, data: bytes) -> None:
        self._output += data
        self._wake()

    def _wake(self) -> None:
        for changed in self._waiting:
            changed.set()
        self._waiting.clear()
