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
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import js
from js import clearInterval, setInterval, setTimeout
from pyodide.ffi import JsException, create_proxy, to_js

from qwen_worker.platform import promises
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
"""When to look for the first time whether the client has taken something, or whether more has come."""

_numbers = count()
_running: "WeakValueDictionary[int, Pusher]" = WeakValueDictionary()
_timer_proxy: Any = None
"""One proxy for all streams: when a client goes away, no code is left that could free a proxy of its stream.
"""
_tools: "_Tools | None" = None


class _Tools:
    """JavaScript's functions, looked up once, since each look from Python costs microseconds. Made with the
    first stream: a deployment's memory snapshot can hold none of them.
    """

    __slots__ = (
        "array",
        "assign",
        "bind_each_of",
        "constructor_of",
        "iteration",
        "no_places",
        "push",
        "without_more",
    )

    def __init__(self) -> None:
        array, objects = js.Array, js.Object
        self.array = array.new
        self.assign = objects.assign
        self.without_more = objects.preventExtensions
        self.push = array.prototype.push
        self.bind_each_of = array.fromAsync.bind
        self.iteration = js_object({"next": js.ReadableStreamDefaultReader.prototype.read})
        """What makes a reader an asynchronous iterator of its chunks: `valueOf` returns the reader itself."""
        js.Reflect.set(self.iteration, js.Symbol.asyncIterator, objects.prototype.valueOf)
        self.constructor_of = objects.bind
        """Called with None and an object: a constructor that returns the object."""
        self.no_places = self.constructor_of(None, self.without_more(array.new()))


class Outlet:
    """A JavaScript stream that Python fills without waiting."""

    __slots__ = ("_controller", "_enqueue", "_events", "readable")

    def __init__(self) -> None:
        # `start` puts the controller there, `cancel` a reason.
        self._events = js.Array.new()
        note = self._events.push.bind(self._events)
        self.readable = js.ReadableStream.new(
            js_object({"start": note, "cancel": note}),
            js.ByteLengthQueuingStrategy.new(js_object({"highWaterMark": AHEAD_BYTES})),
        )
        self._controller = self._events[0]
        self._enqueue = self._controller.enqueue

    def send(self, data: bytes) -> None:
        """Puts something on its way to the client. Raises StreamBroken if the client is gone."""
        if data:
            try:
                self._enqueue(to_js(data))
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
        "_is_first_tick",
        "_is_over",
        "_is_quiet",
        "_limit",
        "_number",
        "_outlet",
        "_places",
        "_reader",
        "_taken",
        "_target",
        "_ticking",
        "_wake",
    )

    def __init__(
        self, pipe: "Pipe", outlet: Outlet, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> None:
        self._number = next(_numbers)
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
        """The array that is filled; None if it is the one that has no places."""
        self._is_quiet = True
        """Whether the next chunk is to wake Python."""
        self._has_come = False
        """Whether something has come since the last tick, or since something was sent at once."""
        self._ticking: Any = None
        self._is_first_tick = False
        self._wake: Callable[[], None] | None = None
        """Ends the wait for the client."""

    def begin(self, head: bytes) -> None:
        """Sends the translation of the head. Raises what `feed` raises."""
        self._target.heard += len(head)
        self._outlet.send(self._feed(head))

    async def run(self, source: WorkerBodyReader) -> None:
        """Sends what is left of the source. Raises as `Pipe.translate` does."""
        global _timer_proxy, _tools
        self._reader = source.reader
        if self._reader is None:
            return
        if _tools is None:
            _tools = _Tools()
            _timer_proxy = create_proxy(_on_timer)
        tools = _tools
        tools.assign(self._reader, tools.iteration)
        _running[self._number] = self
        is_broken = False
        while not self._has_ended():
            try:
                await self._read(tools)
                break
            except JsException:
                if self._taken + len(self._chunks) <= self._limit:
                    is_broken = True
                    break
            if self._take():
                self._is_quiet = self._has_come = False
            if self._ticking is None:
                # The first tick comes soon: chunks that are on time arrive before the ticks, not with them.
                self._is_first_tick = True
                self._ticking = setTimeout(_timer_proxy, SOON_MS, self._number)
            await self._client_keeps_up()
        self._stop_ticking()
        del _running[self._number]
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
        elif self._is_first_tick:
            self._is_first_tick = False
            self._ticking = setInterval(_timer_proxy, TICK_MS, self._number)
        elif self._has_come:
            self._has_come = self._is_quiet = False
        elif self._wake is None:
            self._stop_ticking()
            self._wake_with_next_chunk()
        if self._wake is not None:
            self._wake()

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

    def _read(self, tools: _Tools) -> Any:
        """A promise, kept when the source has ended, and broken when it breaks or when there is no place for
        what has come last.
        """
        self._limit = self._taken + len(self._chunks)
        if self._is_quiet:
            self._places = None
            to_fill = tools.no_places
        else:
            self._places = tools.without_more(tools.array(PLACES).fill())
            self._limit += 2 * PLACES
            to_fill = tools.constructor_of(None, self._places)
        return promises.called(tools.bind_each_of(to_fill, self._reader, tools.push, self._chunks))

    def _wake_with_next_chunk(self) -> None:
        self._is_quiet = True
        if self._places is not None and self._taken <= self._limit:
            self._limit = self._taken
            self._places.length = 0

    def _stop_ticking(self) -> None:
        self._is_first_tick = False
        if self._ticking is not None:
            clearInterval(self._ticking)
            self._ticking = None

    async def _client_keeps_up(self) -> None:
        """Waits until the client has taken enough of what was sent."""
        pause_ms = SOON_MS
        while self._outlet.room_bytes <= 0 and not self._has_ended():
            woken = asyncio.get_running_loop().create_future()
            self._wake = _setter(woken)
            setTimeout(_timer_proxy, pause_ms, self._number)
            pause_ms = min(2 * pause_ms, TICK_MS)
            await woken
            self._wake = None

    def _take(self) -> bool:
        """Sends what has gathered; whether there was anything to send. Keeps an exception for the code that
        waits.
        """
        came = self._chunks.to_py()
        if not came:
            return False
        self._chunks.length = 0
        if self._has_ended():
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


def _setter(future: "asyncio.Future[None]") -> Callable[[], None]:
    def set_it() -> None:
        if not future.done():
            future.set_result(None)

    return set_it


def _on_timer(number: int) -> None:
    pusher = _running.get(number)
    if pusher is not None:
        pusher.look()
