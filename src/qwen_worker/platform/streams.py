"""Streams on the Workers runtime: Python starts and ends them, the runtime moves the bytes.

On current runtimes the client reads one end of an IdentityTransformStream, and Qwen's body is piped into the
other end by `pipeTo`, without any Python per chunk. Its pipe stays usable after the source broke. A branch of
what flows is kept by `tee` and read from time to time, many chunks at once. It is taken from the readable
side: measured there, a client that goes away ends everything at once, even while the branch is being read,
which is not so when Qwen's body itself is tee'd.

On the embedded runtime (Pyodide 0.26) a broken source breaks the IdentityTransformStream for good and the
client sees a clean end. There all streams are pushed, as those that are translated are everywhere: see
`pushing`.

Each JavaScript object that Python gets to see costs some 10 us. What the first event needs is got when a pipe
is opened, which is while Qwen is awaited; everything else when it is needed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import js
from js import Promise, queueMicrotask
from pyodide.ffi import JsException, create_once_callable, to_js

from qwen_worker.platform import natives, promises
from qwen_worker.platform.body_reader import WorkerBodyReader
from qwen_worker.platform.interop import IS_EMBEDDED, js_object
from qwen_worker.platform.ports import StreamBroken

if TYPE_CHECKING:
    from qwen_worker.platform.protocols import BodyReader, Pipe
    from qwen_worker.platform.pushing import Outlet, Pusher

HAS_CURRENT_STREAMS = not IS_EMBEDDED
"""Which kind of pipe is opened."""

PIECE_BYTES = 131_072
"""The largest piece that is read of what went through: a smaller one was all that there was."""

REST_SECONDS = 0.5
"""How long to wait, when the source has ended, for what may still have to be seen."""

REST_TURNS = 4
"""And how many turns of the event loop: in a busy isolate the timer may be due before a read has had one."""


def open_pipe() -> "Pipe":
    """The pipe that keeps every promise of protocols.Pipe on this runtime."""
    return IdentityPipe() if HAS_CURRENT_STREAMS else open_pushed_pipe()


def open_pushed_pipe() -> "Pipe":
    """A pipe that keeps them too, for what is sure to be translated."""
    from qwen_worker.platform.pushed_pipe import PushedPipe

    return PushedPipe()


class IdentityPipe:
    """Native all the way; for current runtimes."""

    __slots__ = (
        "_branch",
        "_branch_reader",
        "_is_given",
        "_looking",
        "_outlet",
        "_pusher",
        "_readable",
        "_seen",
        "_writable",
        "_writer",
        "heard",
    )

    def __init__(self) -> None:
        transform = natives.new_identity_stream()
        branches = transform.readable.tee()
        self._readable, self._branch = branches[0], branches[1]
        self._is_given = False
        self.heard = 0
        self._writable = transform.writable
        self._writer = self._writable.getWriter()
        self._branch_reader: Any = None
        self._looking: asyncio.Task[None] | None = None
        self._seen: Callable[[bytes], None] | None = None
        self._pusher: Pusher | None = None
        self._outlet: Outlet | None = None
        """What the client is given instead, if it has nothing yet when translating begins."""

    @property
    def readable(self) -> Any:
        self._is_given = True
        return self._readable

    async def write(self, data: bytes) -> None:
        if self._outlet is not None:
            self._outlet.send(data)
            return
        try:
            await self._writer.write(to_js(data))
        except JsException:
            raise StreamBroken from None
        # The request may end now. Without a turn of the event loop before, the memory of this write is lost.
        await asyncio.sleep(0)

    def relay(
        self,
        source: "BodyReader",
        head: bytes,
        seen: Callable[[bytes], None] | None = None,
        is_over: Callable[[], bool] = bool,
    ) -> Coroutine[Any, Any, None]:
        self._seen = seen
        if seen is None:
            self._stop_observing()
        # Not awaited: it is done when the client has read it, and what is piped queues up behind it. If the
        # client is gone, the promise is broken, which somebody must have minded.
        written = natives.call_in_array(natives.bind_write(self._writer, to_js(head)))
        queueMicrotask(natives.bind_all_settled(Promise, written))
        self._writer.releaseLock()
        return self._relay(cast(WorkerBodyReader, source).release(), is_over)

    def translate(
        self, source: "BodyReader", head: bytes, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> Coroutine[Any, Any, None]:
        from qwen_worker.platform.pushing import Outlet, Pusher

        outlet = self._outlet or Outlet()
        self._pusher = pusher = Pusher(self, outlet, feed, is_over)
        pusher.begin(head)
        if outlet is self._outlet or not self._is_given:
            self._outlet, self._readable = outlet, outlet.readable
            return pusher.run(cast(WorkerBodyReader, source))
        self._stop_observing()
        self._writer.releaseLock()
        sent = outlet.readable.pipeTo(self._writable, js_object({"preventClose": True}))
        return self._push(pusher, cast(WorkerBodyReader, source), outlet, sent)

    def look(self) -> None:
        if self._pusher is not None:
            self._pusher.look_for_client()
        elif self._looking is None or self._looking.done():
            # Waits in a task of its own, which nobody cancels: a promise that Python waits for is one future
            # for all on current runtimes, and who gives up waiting for it cancels it for the others.
            self._looking = asyncio.ensure_future(self._look())

    def close(self) -> None:
        if self._outlet is not None:
            self._outlet.close()
            return
        # Not called from Python: Pyodide would make a future of the promise that it returns, and with the end
        # of the response the request ends, before that future could be given back.
        queueMicrotask(natives.bind_close(self._writer))

    def _stop_observing(self) -> None:
        """Gives up the branch, and the memory that it takes."""
        if self._branch is None:
            return
        # Not called from Python, as in `close`: when the client goes away, the promise is never kept.
        queueMicrotask(self._branch.cancel.bind(self._branch))
        self._branch = None

    async def _relay(self, body: Any, is_over: Callable[[], bool]) -> None:
        is_broken = False
        try:
            await promises.called(
                natives.bind_pipe_to(body, self._writable, natives.goes_on), has_value=False
            )
        except JsException:
            is_broken = True
        self._writer = self._writable.getWriter()
        await self._see_the_rest(is_over)
        if is_broken:
            raise StreamBroken

    async def _push(self, pusher: "Pusher", source: WorkerBodyReader, outlet: "Outlet", sent: Any) -> None:
        failure: Exception | None = None
        try:
            await pusher.run(source)
        except Exception as error:
            failure = error
        outlet.close()
        with suppress(JsException):  # the client is gone, which the next write finds out
            await sent
        self._writer = self._writable.getWriter()
        if failure is not None:
            raise failure

    async def _look(self) -> None:
        """Shows what went through since the last look; waits until there is something."""
        while self._branch is not None:
            if self._branch_reader is None:
                self._branch_reader = self._branch.getReader(natives.byob)
            read = natives.bind_read_at_least(self._branch_reader, 1, natives.new_bytes(PIECE_BYTES))
            try:
                step = await promises.called(read)
            except JsException:
                step = None
            if step is None or step.done:
                self._branch = self._branch_reader = None
                return
            piece = step.value.to_bytes()
            self.heard += len(piece)
            if self._seen is not None:
                self._seen(piece)
            if len(piece) < PIECE_BYTES:
                return

    async def _see_the_rest(self, is_over: Callable[[], bool]) -> None:
        """Shows all that went through. The branch does not say that it has ended: there is no more when
        nothing comes for a while.
        """
        if self._looking is None:
            await self._look()  # the head at least
        while self._branch is not None and not is_over():
            self.look()
            looking = cast("asyncio.Task[None]", self._looking)
            heard = -1
            while not looking.done() and heard != self.heard:
                heard = self.heard
                await _done_soon(looking)
            if not looking.done():
                self._branch_reader.cancel()  # and with it the look, which would outlive the request
            await looking


async def _done_soon(task: "asyncio.Task[None]") -> None:
    """Waits for a task, at most for REST_SECONDS and REST_TURNS, and leaves it alone."""
    waiting = asyncio.get_running_loop().create_future()

    def wake(*_: object) -> None:
        if not waiting.done():
            waiting.set_result(None)

    timer_proxy = create_once_callable(wake)
    timer = js.setTimeout(timer_proxy, int(REST_SECONDS * 1000))
    task.add_done_callback(wake)
    await waiting
    task.remove_done_callback(wake)
    if task.done():
        js.clearTimeout(timer)
        timer_proxy.destroy()
    else:
        for _ in range(REST_TURNS):
            await asyncio.sleep(0)
