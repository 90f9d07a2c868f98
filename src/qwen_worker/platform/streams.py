"""Streams on the Workers runtime: Python starts and ends them, the runtime moves the bytes.

The client reads one end of a TransformStream; Qwen's body is piped into the other end by `pipeTo`, without
any Python per chunk. A second branch of what flows is kept by `tee` and read from time to time, many chunks
at once.

Which TransformStream decides what a chunk costs, and what happens when Qwen's connection breaks:

- On current runtimes an IdentityTransformStream. Its pipe stays usable after the source broke. The branch is
  taken from its readable side: measured there, a client that goes away ends everything at once, even while
  the branch is being read, which is not so when Qwen's body itself is tee'd.
- On the embedded runtime (Pyodide 0.26) a broken source breaks the IdentityTransformStream for good and the
  client sees a clean end. So there the standard TransformStream is used, at three times the cost. It has no
  reader for many chunks at once on its readable side: the branch is taken from Qwen's body.

Each JavaScript object that Python gets to see costs some 10 us. What the first event needs is got when a pipe
is opened, which is while Qwen is awaited; everything else when it is needed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import js
from js import Uint8Array
from pyodide.ffi import JsException, create_once_callable, to_js

from qwen_worker.platform.interop import HAS_SDK, absent, js_object
from qwen_worker.platform.ports import StreamBroken

if TYPE_CHECKING:
    from qwen_worker.platform.protocols import BodyReader
    from qwen_worker.platform.translation import Translation

HAS_CURRENT_STREAMS = HAS_SDK
"""Which kind of pipe is opened."""

PIECE_BYTES = 131_072
"""The largest piece that is read of what went through: a smaller one was all that there was."""

REST_SECONDS = 0.5
"""How long to wait, when the source has ended, for what may still have to be seen."""

REST_TURNS = 4
"""And how many turns of the event loop: in a busy isolate a timer can be over before a read got its turn."""


def open_pipe() -> "WorkerPipe":
    """The pipe that keeps every promise of protocols.Pipe on this runtime."""
    return IdentityPipe() if HAS_CURRENT_STREAMS else StandardPipe()


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
            step = await self._reader.read()
        except JsException:
            raise StreamBroken from None
        return None if step.done else step.value.to_bytes()

    def release(self) -> Any:
        """The body for somebody else to read."""
        if self._reader is not None:
            self._reader.releaseLock()
        return self.body


class WorkerPipe:
    """What both kinds of pipe have in common."""

    __slots__ = (
        "_branch",
        "_branch_reader",
        "_looking",
        "_seen",
        "_writable",
        "_writer",
        "heard",
        "readable",
    )

    tells_end = False
    """Whether the branch says that it has ended."""

    def __init__(self, transform: Any) -> None:
        self.readable = transform.readable
        self.heard = 0
        self._writable = transform.writable
        self._writer = self._writable.getWriter()
        self._branch: Any = None
        self._branch_reader: Any = None
        self._looking: asyncio.Task[None] | None = None
        self._seen: Callable[[bytes], None] | None = None

    async def write(self, data: bytes) -> None:
        try:
            await self._writer.write(to_js(data))
        except JsException:
            raise StreamBroken from None

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
        written, body = self._begin(cast(WorkerBodyReader, source).release(), head)
        return self._relay(written, body, is_over)

    def translate(
        self, source: "BodyReader", head: bytes, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> Coroutine[Any, Any, None]:
        from qwen_worker.platform.translation import Translation

        self._stop_observing()
        self._writer.releaseLock()
        translation = Translation(self, self._writable, feed, is_over)
        translation.send(feed(head))
        return self._translate(translation, cast(WorkerBodyReader, source))

    def look(self) -> None:
        if self._looking is None or self._looking.done():
            # Waits in a task of its own, which nobody cancels: a promise that Python waits for is one future
            # for all on current runtimes, and who gives up waiting for it cancels it for the others.
            self._looking = asyncio.ensure_future(self._look())

    def close(self) -> None:
        # Not called from Python: Pyodide would make a future of the promise that it returns, and with the end
        # of the response the request ends, before that future could be given back.
        js.queueMicrotask(self._writer.close.bind(self._writer))

    def _begin(self, body: Any, head: bytes) -> tuple[Any, Any]:
        """Sends the head; what to wait for before the pipe may start, and what it is to be fed with."""
        raise NotImplementedError

    def _stop_observing(self) -> None:
        """Gives up the branch, and the memory that it takes."""
        if self._branch is not None:
            self._branch.cancel()
            self._branch = None

    async def _relay(self, written: Any, body: Any, is_over: Callable[[], bool]) -> None:
        if written is not None:
            await written
            self._writer.releaseLock()
        options = js_object({"preventClose": True, "preventAbort": True})
        try:
            await body.pipeTo(self._writable, options)
        except JsException:
            raise StreamBroken from None
        finally:
            self._writer = self._writable.getWriter()
            await self._see_the_rest(is_over)

    async def _translate(self, translation: "Translation", source: WorkerBodyReader) -> None:
        try:
            await translation.run(source)
        finally:
            self._writer = self._writable.getWriter()

    async def _look(self) -> None:
        """Shows what went through since the last look; waits until there is something."""
        while self._branch is not None:
            if self._branch_reader is None:
                self._branch_reader = self._branch.getReader(js_object({"mode": "byob"}))
            try:
                step = await self._branch_reader.readAtLeast(1, Uint8Array.new(PIECE_BYTES))
            except JsException:
                step = None
            if step is None or step.done:
                self._branch = self._branch_reader = None
                return
            piece = step.value.to_bytes()
            self._show(piece)
            if len(piece) < PIECE_BYTES:
                return

    def _show(self, piece: bytes) -> None:
        self.heard += len(piece)
        if self._seen is not None:
            self._seen(piece)

    async def _see_the_rest(self, is_over: Callable[[], bool]) -> None:
        """Shows all that went through. Where the branch does not say that it has ended, there is no more when
        nothing comes for a while.
        """
        if self._looking is None and not self.tells_end:
            await self._look()  # the head at least
        while self._branch is not None and not is_over():
            self.look()
            looking = cast("asyncio.Task[None]", self._looking)
            heard = -1
            while not (looking.done() or self.tells_end or heard == self.heard):
                heard = self.heard
                await _done_soon(looking)
            if not (looking.done() or self.tells_end):
                self._branch_reader.cancel()  # and with it the look, which would outlive the request
            await looking


class IdentityPipe(WorkerPipe):
    """Native all the way; for current runtimes."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(js.IdentityTransformStream.new())
        branches = self.readable.tee()
        self.readable = branches[0]
        self._branch = branches[1]

    def _begin(self, body: Any, head: bytes) -> tuple[Any, Any]:
        # Not awaited: it is done when the client has read it, and what is piped queues up behind it.
        self._writer.write(to_js(head))
        self._writer.releaseLock()
        return None, body


class StandardPipe(WorkerPipe):
    """Through the standard TransformStream; for the embedded runtime."""

    __slots__ = ()

    tells_end = True

    def __init__(self) -> None:
        super().__init__(js.TransformStream.new())

    def _begin(self, body: Any, head: bytes) -> tuple[Any, Any]:
        if self._seen is not None:
            body, self._branch = body.tee()
            self._show(head)
        # What is piped before the head has been taken would take its place.
        return self._writer.write(to_js(head)), body


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
