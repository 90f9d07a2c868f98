"""A stream that passes through Python, without waking Python's event loop for each chunk.

Waiting for a promise in Python costs more than translating a chunk. So the runtime pushes Qwen's chunks into
a JavaScript array, and a timer of the runtime, which calls Python directly, takes what has gathered, has it
translated, and puts the outcome into a JavaScript ReadableStream that the client reads. While nothing comes
there is no timer: the next chunk ends the runtime's reading, which wakes Python.

What reads is `Array.fromAsync`: it costs half of what `pipeTo` a WritableStream does. It also fills an array
of its own, one place a chunk, and fails when that has no more places. So it reads as many chunks as it is
given places, and a client that reads slowly stops the reading.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import js
from js import clearInterval, setInterval, setTimeout
from pyodide.ffi import JsException, create_proxy, to_js

from qwen_worker.platform.body_reader import WorkerBodyReader
from qwen_worker.platform.interop import js_object
from qwen_worker.platform.ports import TRANSLATE_SECONDS, StreamBroken

if TYPE_CHECKING:
    from qwen_worker.platform.protocols import Pipe

AHEAD_BYTES = 131_072
"""When so much waits for the client, reading stops."""

PLACES = 1024
"""How many chunks may gather."""

TICK_MS = int(TRANSLATE_SECONDS * 1000)

SOON_MS = 5
"""When to look for the first time whether the client has taken something."""

_running: "WeakValueDictionary[int, Pusher]" = WeakValueDictionary()
_timer_proxy: Any = None
"""One proxy for all streams: when a client goes away, no code is left that could free a proxy of its stream.
"""
_iteration: Any = None
"""What makes a stream's reader an asynchronous iterator of its chunks."""
_no_places: Any = None


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
        "_has_come",
        "_is_over",
        "_is_quiet",
        "_limit",
        "_outlet",
        "_places",
        "_reader",
        "_room",
        "_taken",
        "_target",
        "_ticking",
    )

    def __init__(
        self, pipe: "Pipe", outlet: Outlet, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> None:
        self._target = pipe
        self._outlet = outlet
        self._feed = feed
        self._is_over = is_over
        self._failure: Exception | None = None
        self._reader: Any = None
        self._chunks: Any = js.Array.new()
        """Each chunk and, behind it, its number."""
        self._taken = 0
        """How many chunks and numbers were taken from there."""
        self._limit = 0
        """How many must have come when reading failed for want of places."""
        self._places: Any = None
        self._is_quiet = True
        """Whether the next chunk is to wake Python."""
        self._has_come = False
        """Whether something was taken since the last tick."""
        self._ticking: Any = None
        self._room: asyncio.Future[None] | None = None

    def begin(self, head: bytes) -> None:
        """Sends the translation of the head. Raises what `feed` raises."""
        self._target.heard += len(head)
        self._outlet.send(self._feed(head))

    async def run(self, source: WorkerBodyReader) -> None:
        """Sends what is left of the source. Raises as `Pipe.translate` does."""
        self._reader = source.reader
        _running[id(self)] = self
        is_broken = False
        while self._reader is not None and not self._has_ended():
            try:
                await self._read()
                break
            except JsException:
                if self._taken + len(self._chunks) <= self._limit:
                    is_broken = True
                    break
            if self._take():
                self._is_quiet = False
            if self._ticking is None:
                self._ticking = setInterval(_timer_proxy, TICK_MS, id(self))
            await self._client_keeps_up()
        self._stop_ticking()
        del _running[id(self)]
        self._take()
        if self._failure is not None:
            raise self._failure
        if is_broken and not self._is_over():
            raise StreamBroken

    def look(self) -> None:
        """Called by the runtime's timer."""
        self._take()
        if self._has_ended():
            self.stop()
        elif self._has_come:
            self._has_come = self._is_quiet = False
        elif self._room is None:
            self._stop_ticking()
            self._wake_with_next_chunk()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def look_for_client(self) -> None:
        """Stops if the client is gone."""
        if self._outlet.is_cancelled and self._failure is None:
            self._failure = StreamBroken()
            self.stop()

    def stop(self) -> None:
        """Ends the reading of a source that may be silent."""
        self._stop_ticking()
        # Not called from Python, which would make a future of the promise.
        js.queueMicrotask(self._reader.cancel.bind(self._reader))

    def _has_ended(self) -> bool:
        return self._failure is not None or self._is_over()

    def _read(self) -> Any:
        """A promise, kept when the source has ended, and broken when it breaks or when there is no place for
        what has come last.
        """
        global _timer_proxy, _iteration, _no_places
        if _timer_proxy is None:
            _timer_proxy = create_proxy(_on_timer)
            _iteration = _methods_of_iteration(self._reader)
            _no_places = js.Object.preventExtensions(js.Array.new())
        if self._places is None:
            js.Object.assign(self._reader, _iteration)
        if self._is_quiet:
            self._places, count = _no_places, 0
        else:
            self._places, count = js.Object.preventExtensions(js.Array.new(PLACES).fill()), PLACES
        self._limit = self._taken + len(self._chunks) + 2 * count
        return js.Array.fromAsync.call(
            js.Object.bind(None, self._places), self._reader, js.Array.prototype.push, self._chunks
        )

    def _wake_with_next_chunk(self) -> None:
        if not self._is_quiet:
            self._is_quiet = True
            self._limit = self._taken + len(self._chunks)
            self._places.length = 0

    def _stop_ticking(self) -> None:
        if self._ticking is not None:
            clearInterval(self._ticking)
            self._ticking = None

    async def _client_keeps_up(self) -> None:
        """Waits until the client has taken enough of what was sent."""
        pause_ms = SOON_MS
        while self._outlet.room_bytes <= 0 and not self._has_ended():
            self._room = asyncio.get_running_loop().create_future()
            setTimeout(_timer_proxy, pause_ms, id(self))
            pause_ms = min(2 * pause_ms, TICK_MS)
            await self._room
            self._room = None

    def _take(self) -> bool:
        """Sends what has gathered; whether there was anything to send. Keeps an exception for the code that
        waits.
        """
        came = self._chunks.splice(0).to_py()
        if not came or self._has_ended():
            return False
        self._has_come = True
        self._taken += len(came)
        data = b"".join(came[::2])
        self._target.heard += len(data)
        try:
            out = self._feed(data)
            self._outlet.send(out)
        except Exception as failure:
            self._failure = failure
            return False
        return bool(out)


def _on_timer(key: int) -> None:
    pusher = _running.get(key)
    if pusher is not None:
        pusher.look()


def _methods_of_iteration(reader: Any) -> Any:
    """What makes readers asynchronous iterators: `valueOf` returns the reader itself."""
    methods = js_object({"next": reader.read})
    js.Reflect.set(methods, js.Symbol.asyncIterator, js.Object.prototype.valueOf)
    return methods
