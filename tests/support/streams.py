"""Streams in plain Python: a body that a test writes, and a pipe whose output a test reads."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from qwen_worker.platform.ports import RELAYED_PIECE_BYTES, BodyReader, StreamBroken, WholeBody


class ScriptedBody:
    """A body of Qwen's: bytes that arrive one by one, pauses, and an exception if it breaks."""

    def __init__(self, *script: bytes | float | Exception) -> None:
        self._script = list(script)
        self._cancelled = asyncio.Event()

    async def read(self) -> bytes | None:
        """The next piece; a number in the script is a pause in seconds."""
        while self._script:
            step = self._script.pop(0)
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

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def reader(self) -> ScriptedBody:
        return self.body

    def cancel(self) -> None:
        self.body.cancel()

    async def text(self, limit_bytes: int = 65_536) -> str:
        raise AssertionError("a stream is not read as text")

    async def whole(self, limit_bytes: int) -> WholeBody:
        raise AssertionError("a stream is not read as a whole")

    def end_timeout(self) -> None:
        self.has_timeout = False


class MemoryPipe:
    """A pipe into memory."""

    def __init__(self) -> None:
        self._output = bytearray()
        self._observed = 0
        self._waiting: list[asyncio.Event] = []
        self.is_closed = False
        self.is_observed = True
        self.writes: list[bytes] = []
        """What Python sent, apart from what was relayed natively."""

    @property
    def readable(self) -> "MemoryPipe":
        return self

    async def write(self, data: bytes) -> None:
        assert not self.is_closed, "written after the end"
        self.writes.append(data)
        self._put(data)
        await asyncio.sleep(0)

    def relay(self, source: BodyReader, head: bytes) -> Coroutine[Any, Any, None]:
        self._put(head)
        return self._relay_rest(source)

    async def _relay_rest(self, source: BodyReader) -> None:
        while (piece := await source.read()) is not None:
            self._put(piece)

    async def relayed(self) -> bytes:
        while self._observed == len(self._output):
            if self.is_closed:
                return b""
            await self._change()
        piece = bytes(self._output[self._observed : self._observed + RELAYED_PIECE_BYTES])
        self._observed += len(piece)
        return piece

    def stop_observing(self) -> None:
        self.is_observed = False

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
        # An Event of each waiter's own: one that is cleared by another would be missed.
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
