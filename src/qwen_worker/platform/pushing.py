"""A stream that passes through Python, without waking Python's event loop for each chunk.

Waiting for a promise in Python costs more than translating a chunk. So the runtime pushes Qwen's chunks into
a JavaScript array (`pipeTo` a WritableStream made of the array's own `push`), and a timer of the runtime,
which calls Python directly, takes what has gathered, has it translated, and puts the outcome into a
JavaScript ReadableStream that the client reads.

The source is piped in rounds. After each, the client must have caught up before the next begins.
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
    from qwen_worker.platform.protocols import Pipe
    from qwen_worker.platform.streams import WorkerBodyReader

AHEAD_BYTES = 131_072
"""How much may wait for the client when a round begins, about."""

ROUND_CHUNKS = 512
"""After so many chunks the source is let go, for Python to look after the client: a fast source keeps the
runtime from calling any timer, and the array would grow with whatever it sends."""

_ENDED, _BROKEN, _INTERRUPTED = "ended", "broken", "interrupted"

_WRITE_ARGUMENTS = 2
_LONGEST = 2**53 - 1
"""The longest that an array of JavaScript, or what it takes for one, can be."""

CATCH_UP_SECONDS = 0.05
"""How often a slow client is asked whether it has caught up."""

_running: "WeakValueDictionary[int, Pusher]" = WeakValueDictionary()
_tick_proxy: Any = None
"""One proxy for all streams: when a client goes away, nobody is left to give back its stream's own."""


class Outlet:
    """A JavaScript stream that Python fills without waiting."""

    __slots__ = ("_controller", "_events", "readable")

    def __init__(self) -> None:
        # `start` puts the controller there, `cancel` a reason.
        self._events = js.Array.new()
        note = self._events.push.bind(self._events)
        self.readable = js.ReadableStream.new(
            js_object({"start": note, "cancel": note}),
            js.ByteLengthQueuingStrategy.new(js_object({"highWaterMark": AHEAD_BYTES})),
        )
        self._controller = self._events[0]

    def send(self, data: bytes) -> None:
        """Puts something on its way to the client. Raises StreamBroken if the client is gone."""
        if data:
            try:
                self._controller.enqueue(to_js(data))
            except JsException:
                raise StreamBroken from None

    @property
    def room_bytes(self) -> int:
        """How much more should be sent before the client has taken something; may be negative."""
        room: int = self._controller.desiredSize
        return room

    @property
    def is_cancelled(self) -> bool:
        """Whether the client is gone."""
        return bool(self._events.length > 1)

    def close(self) -> None:
        """Ends the stream, behind what was sent."""
        if not self.is_cancelled:
            self._controller.close()


class Pusher:
    """One stream's way from Qwen to an outlet. Counts in `pipe.heard` what has come."""

    __slots__ = (
        "__weakref__",
        "_chunks",
        "_failure",
        "_feed",
        "_is_over",
        "_outlet",
        "_piping",
        "_stopped",
        "_target",
    )

    def __init__(
        self, pipe: "Pipe", outlet: Outlet, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> None:
        self._target = pipe
        self._outlet = outlet
        self._feed = feed
        self._is_over = is_over
        self._failure: Exception | None = None
        self._chunks: Any = js.Array.new()
        self._piping: asyncio.Task[str]
        self._stopped: asyncio.Future[None]

    def begin(self, head: bytes) -> None:
        """Sends what the head becomes. Raises what `feed` raises."""
        self._target.heard += len(head)
        self._outlet.send(self._feed(head))

    async def run(self, source: "WorkerBodyReader") -> None:
        """Sends what is left of the source. Raises as `Pipe.translate` does."""
        if await self._pass_next(source):
            body = source.release()
            while not self._is_over() and await self._flow(body):
                await self._client_catches_up()

    async def _pass_next(self, source: "WorkerBodyReader") -> bool:
        """Reads on until there is something more to send, and sends it; tells whether there may be more."""
        out = b""
        while not out:
            if self._is_over() or (piece := await source.read()) is None:
                return False
            self._target.heard += len(piece)
            out = self._feed(piece)
            self._outlet.send(out)
        return True

    async def _flow(self, body: Any) -> bool:
        """Lets the source flow for a round; False if it has ended, or nothing more of it is wanted."""
        global _tick_proxy
        if _tick_proxy is None:
            _tick_proxy = create_proxy(_tick)
        self._stopped = asyncio.get_running_loop().create_future()
        piping = self._piping = asyncio.ensure_future(self._pipe(body))
        piping.add_done_callback(self._stop)
        key = id(self)
        _running[key] = self
        timer = setInterval(_tick_proxy, int(TRANSLATE_SECONDS * 1000), key)
        await self._stopped
        clearInterval(timer)
        del _running[key]
        self._take()
        if self._failure is not None:
            raise self._failure
        if self._is_over():
            return False
        if piping.result() == _BROKEN:
            raise StreamBroken
        return piping.result() == _INTERRUPTED

    async def _pipe(self, body: Any) -> str:
        """Pipes the source for a round; how that ended."""
        # `size` is called first, with each chunk alone, and keeps it. `write` counts in the length of what is
        # no real array, and fails where no array can be longer: with that the pipe lets go of the source.
        counter = js_object({"length": _LONGEST - ROUND_CHUNKS * _WRITE_ARGUMENTS})
        sink = js.WritableStream.new(
            js_object({"write": js.Array.prototype.push.bind(counter)}),
            js_object({"highWaterMark": _LONGEST, "size": self._chunks.push.bind(self._chunks)}),
        )
        try:
            await body.pipeTo(sink, js_object({"preventCancel": True}))
        except JsException:
            if counter.length > _LONGEST - _WRITE_ARGUMENTS:
                return _INTERRUPTED
            return _BROKEN
        return _ENDED

    def _stop(self, _: object = None) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    def tick(self) -> None:
        """Called by the runtime's timer."""
        self._take()
        if self._failure is not None or self._is_over():
            self._stop()

    def _take(self) -> None:
        """Sends what has gathered. Keeps what goes wrong for whoever waits."""
        if not self._chunks.length or self._failure is not None or self._is_over():
            return
        data = b"".join(self._chunks.splice(0).to_py())
        self._target.heard += len(data)
        try:
            self._outlet.send(self._feed(data))
        except Exception as failure:
            self._failure = failure

    async def _client_catches_up(self) -> None:
        while self._outlet.room_bytes < AHEAD_BYTES // 2:
            if self._outlet.is_cancelled:
                raise StreamBroken
            await js.scheduler.wait(int(CATCH_UP_SECONDS * 1000))


def _tick(key: int) -> None:
    pusher = _running.get(key)
    if pusher is not None:
        pusher.tick()
