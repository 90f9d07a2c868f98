"""A stream that Python translates, without waking Python's event loop for each chunk.

Waiting for a promise in Python costs more than translating a chunk. So the runtime pushes Qwen's chunks into
a JavaScript array (`pipeTo` a WritableStream whose `write` is the array's own `push`), and a timer of the
runtime, which calls Python directly, takes what has gathered, has it translated, and puts the outcome into a
JavaScript ReadableStream that is piped to the client. Python waits for two promises a stream: the source's
end, and the client's.

The array would grow with whatever the source sends. So when the client is slow, the pipe from the source is
interrupted until the client has caught up.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import js
from js import clearInterval, setInterval
from pyodide.ffi import JsException, create_proxy, to_js

from qwen_worker.platform.interop import js_object
from qwen_worker.platform.ports import TRANSLATE_SECONDS, StreamBroken

if TYPE_CHECKING:
    from qwen_worker.platform.streams import WorkerBodyReader, WorkerPipe

AHEAD_BYTES = 131_072
"""How much may wait for a slow client before the source is not read any more."""

CATCH_UP_SECONDS = 0.05
"""How often a slow client is asked whether it has caught up."""

_running: "WeakValueDictionary[int, Translation]" = WeakValueDictionary()
_tick_proxy: Any = None
"""One proxy for all translations: when a client goes away, nobody is left to give back its stream's own."""


class Translation:
    """One stream's way from Qwen to the client. Counts in `pipe.heard` what has come."""

    __slots__ = (
        "__weakref__",
        "_abort",
        "_chunks",
        "_failure",
        "_feed",
        "_is_over",
        "_outlet",
        "_pipe",
        "_sending",
        "is_client_gone",
    )

    def __init__(
        self,
        pipe: "WorkerPipe",
        writable: Any,
        feed: Callable[[bytes], bytes],
        is_over: Callable[[], bool],
    ) -> None:
        self._pipe = pipe
        self._feed = feed
        self._is_over = is_over
        self._failure: Exception | None = None
        self._abort: Any = None
        self._chunks: Any = js.Array.new()
        self.is_client_gone = False
        opened = js.Array.new()
        outlet = js.ReadableStream.new(
            js_object({"start": opened.push.bind(opened)}),
            js.ByteLengthQueuingStrategy.new(js_object({"highWaterMark": AHEAD_BYTES})),
        )
        self._outlet = opened[0]
        self._sending = asyncio.ensure_future(self._send_out(outlet, writable))

    def send(self, data: bytes) -> None:
        """Puts something on its way to the client. Raises StreamBroken if the client is gone."""
        if data:
            try:
                self._outlet.enqueue(to_js(data))
            except JsException:
                raise StreamBroken from None

    async def run(self, source: "WorkerBodyReader") -> None:
        """Sends the translation of what is left of the source, and waits until the client has it."""
        try:
            if await self._relay_next(source):
                body = source.release()
                while not self._is_over() and await self._flow(body):
                    await self._client_catches_up()
        finally:
            if not self.is_client_gone:
                self._outlet.close()
                await self._sending

    async def _relay_next(self, source: "WorkerBodyReader") -> bool:
        """Reads on until there is something more to send, and sends it; tells whether there may be more."""
        while not self._is_over():
            piece = await source.read()
            if piece is None:
                return False
            self._pipe.heard += len(piece)
            out = self._feed(piece)
            if out:
                self.send(out)
                return True
        return False

    async def _flow(self, body: Any) -> bool:
        """Lets the source flow until it ends; True if it has been interrupted."""
        global _tick_proxy
        if _tick_proxy is None:
            _tick_proxy = create_proxy(_tick)
        self._abort = js.AbortController.new()
        sink = js.WritableStream.new(js_object({"write": self._chunks.push.bind(self._chunks)}))
        options = js_object({"signal": self._abort.signal, "preventCancel": True})
        key = id(self)
        _running[key] = self
        timer = setInterval(_tick_proxy, int(TRANSLATE_SECONDS * 1000), key)
        try:
            await body.pipeTo(sink, options)
        except JsException:
            if not self._abort.signal.aborted:
                self.take()
                raise StreamBroken from None
        finally:
            clearInterval(timer)
            del _running[key]
        interrupted = bool(self._abort.signal.aborted)
        if self._failure is None:
            self.take()
        if self._failure is not None:
            raise self._failure
        return interrupted

    def take(self) -> None:
        """Translates what has gathered. Keeps what goes wrong for whoever waits."""
        chunks = self._chunks.splice(0)
        count = chunks.length
        if not count or self._is_over():
            return
        # Each chunk is followed by the controller that `write` is called with.
        data = b"".join([chunks[place].to_bytes() for place in range(0, count, 2)])
        self._pipe.heard += len(data)
        try:
            self.send(self._feed(data))
        except Exception as failure:
            self._failure = failure

    def tick(self) -> None:
        """Called by the runtime's timer."""
        if self._chunks.length:
            self.take()
            if self._failure is not None or self._is_over() or self._outlet.desiredSize <= 0:
                self._abort.abort()

    async def _client_catches_up(self) -> None:
        while not self.is_client_gone and self._outlet.desiredSize < AHEAD_BYTES // 2:
            await js.scheduler.wait(int(CATCH_UP_SECONDS * 1000))
        if self.is_client_gone:
            raise StreamBroken

    async def _send_out(self, outlet: Any, writable: Any) -> None:
        try:
            await outlet.pipeTo(writable, js_object({"preventClose": True}))
        except JsException:
            self.is_client_gone = True


def _tick(key: int) -> None:
    translation = _running.get(key)
    if translation is not None:
        translation.tick()
