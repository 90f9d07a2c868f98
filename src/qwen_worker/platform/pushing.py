"""A stream that passes through Python, without waking Python's event loop for each chunk.

Waiting for a promise in Python costs more than translating a chunk. So the runtime pushes Qwen's chunks into
a JavaScript array (`pipeTo` a WritableStream made of arrays' own functions), and a timer of the runtime,
which calls Python directly, takes what has gathered, has it translated, and puts the outcome into a
JavaScript ReadableStream that the client reads.

A fast source keeps some runtimes from calling timers at all, and the array would grow with whatever it sends.
So each chunk takes a token, which Python replaces when the client keeps up. Without tokens the source waits.
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
"""When so much waits for the client, tokens are not replaced."""

TOKENS = 1024
"""How many chunks may gather."""

SOON_MS = 5
"""When to look again after the source had to wait, in case it waited for Python and not for the client."""

_running: "WeakValueDictionary[int, Pusher]" = WeakValueDictionary()
_timer_proxy: Any = None
"""One proxy for all streams: when a client goes away, no code is left that could free a proxy of its stream.
"""


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
        "_let_on",
        "_outlet",
        "_passed",
        "_stop",
        "_target",
        "_tokens",
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
        self._tokens: Any = js.Array.new()
        self._let_on: Any = None
        self._passed = 0
        """How many chunks have come since tokens were replaced."""
        self._stop: Callable[[], object] = bool

    def begin(self, head: bytes) -> None:
        """Sends the translation of the head. Raises what `feed` raises."""
        self._target.heard += len(head)
        self._outlet.send(self._feed(head))

    async def run(self, source: WorkerBodyReader) -> None:
        """Sends what is left of the source. Raises as `Pipe.translate` does."""
        if await self._pass_next(source) and not self._is_over():
            await self._flow(source.release())

    async def _pass_next(self, source: WorkerBodyReader) -> bool:
        """Reads on until there is something more to send, and sends it; tells whether there may be more."""
        out = b""
        while not out:
            if self._is_over() or (piece := await source.read()) is None:
                return False
            self._target.heard += len(piece)
            out = self._feed(piece)
            self._outlet.send(out)
        return True

    async def _flow(self, body: Any) -> None:
        """Lets the source flow until it ends, or until nothing more of it is wanted."""
        global _timer_proxy
        if _timer_proxy is None:
            _timer_proxy = create_proxy(_on_timer)
        stopped = asyncio.get_running_loop().create_future()

        def stop(_: object = None) -> None:
            if not stopped.done():
                stopped.set_result(None)

        self._stop = stop
        self._replace_tokens()
        piping = asyncio.ensure_future(self._pipe(body))
        piping.add_done_callback(stop)
        key = id(self)
        _running[key] = self
        timer = setInterval(_timer_proxy, int(TRANSLATE_SECONDS * 1000), key)
        # Does not wait for the pipe alone, which nothing ends while the source is silent.
        await stopped
        clearInterval(timer)
        del _running[key]
        self._take()
        if self._failure is not None:
            raise self._failure
        if not self._is_over() and piping.result():
            raise StreamBroken

    async def _pipe(self, body: Any) -> bool:
        """Pipes the source to its end. Returns whether it broke."""
        # `size` is called first, with the chunk alone, which it keeps; `write` takes a token for it.
        take = js.Reflect.get(js.Array.prototype, "pop")  # an attribute `pop` would be Python's own
        sink = js.WritableStream.new(
            js_object({"write": take.bind(self._tokens)}),
            js_object({"highWaterMark": 1, "size": self._chunks.push.bind(self._chunks)}),
        )
        try:
            await body.pipeTo(sink, js_object({"preventCancel": True}))
        except JsException:
            return True
        return False

    def _replace_tokens(self) -> bool:
        """Lets the source send more. Returns whether it was waiting for that."""
        was_waiting = not self._tokens.length
        if was_waiting:
            if self._let_on is not None:
                self._let_on()
            # The token that is taken last is a promise. Python never gets it: it would make a future of it.
            last = js.Promise.withResolvers()
            self._let_on = last.resolve
            self._tokens.push.apply(self._tokens, js.Object.values(last))
            self._tokens.length = 1
        self._tokens.length = TOKENS
        self._passed = 0
        return was_waiting

    def look(self) -> None:
        """Called by the runtime's timer."""
        has_come = self._take()
        if self._failure is not None or self._is_over():
            self._stop()
        elif not has_come and self._outlet.is_cancelled:
            self._failure = StreamBroken()
            self._stop()
        elif self._passed >= TOKENS // 2 and self._outlet.room_bytes > 0 and self._replace_tokens():
            setTimeout(_timer_proxy, SOON_MS, id(self))

    def _take(self) -> bool:
        """Sends what has gathered; whether there was anything. Keeps an exception for the code that waits."""
        if not self._chunks.length or self._failure is not None or self._is_over():
            return False
        chunks = self._chunks.splice(0).to_py()
        self._passed += len(chunks)
        data = b"".join(chunks)
        self._target.heard += len(data)
        try:
            self._outlet.send(self._feed(data))
        except Exception as failure:
            self._failure = failure
        return True


def _on_timer(key: int) -> None:
    pusher = _running.get(key)
    if pusher is not None:
        pusher.look()
