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

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import js
from js import Uint8Array
from pyodide.ffi import JsException, to_js

from qwen_worker.platform.interop import HAS_SDK, absent, js_object
from qwen_worker.platform.ports import RELAYED_PIECE_BYTES, StreamBroken

if TYPE_CHECKING:
    from qwen_worker.platform.protocols import BodyReader

HAS_CURRENT_STREAMS = HAS_SDK
"""Which kind of pipe is opened."""


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

    __slots__ = ("_branch", "_branch_reader", "_pending", "_writable", "_writer", "readable")

    def __init__(self, transform: Any) -> None:
        self.readable = transform.readable
        self._writable = transform.writable
        self._writer = self._writable.getWriter()
        self._branch: Any = None
        self._branch_reader: Any = None
        self._pending: Any = None

    async def write(self, data: bytes) -> None:
        try:
            await self._writer.write(to_js(data))
        except JsException:
            raise StreamBroken from None

    def relay(self, source: "BodyReader", head: bytes) -> Coroutine[Any, Any, None]:
        """Begins to send; each kind of pipe in its own order."""
        raise NotImplementedError

    async def _relay(self, body: Any) -> None:
        options = js_object({"preventClose": True, "preventAbort": True})
        try:
            await body.pipeTo(self._writable, options)
        except JsException:
            raise StreamBroken from None
        finally:
            self._writer = self._writable.getWriter()

    async def relayed(self) -> bytes:
        if self._pending is None:
            if self._branch is None:
                return b""
            if self._branch_reader is None:
                self._branch_reader = self._branch.getReader(js_object({"mode": "byob"}))
            self._pending = self._branch_reader.readAtLeast(1, Uint8Array.new(RELAYED_PIECE_BYTES))
        try:
            step = await self._pending
        except JsException:
            self._branch = self._branch_reader = self._pending = None
            return b""
        self._pending = None
        return b"" if step.done else step.value.to_bytes()

    def stop_observing(self) -> None:
        if self._branch is not None:
            (self._branch if self._branch_reader is None else self._branch_reader).cancel()
            self._branch = self._branch_reader = None

    def close(self) -> None:
        # Not called from Python: Pyodide would make a future of the promise that it returns, and with the end
        # of the response the request ends, before that future could be given back.
        js.queueMicrotask(self._writer.close.bind(self._writer))


class IdentityPipe(WorkerPipe):
    """Native all the way; for current runtimes."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(js.IdentityTransformStream.new())
        branches = self.readable.tee()
        self.readable = branches[0]
        self._branch = branches[1]

    def relay(self, source: "BodyReader", head: bytes) -> Coroutine[Any, Any, None]:
        # Not awaited: it is done when the client has read it, and what is piped queues up behind it.
        self._writer.write(to_js(head))
        self._writer.releaseLock()
        return self._relay(cast(WorkerBodyReader, source).release())


class StandardPipe(WorkerPipe):
    """Through the standard TransformStream; for the embedded runtime."""

    __slots__ = ("_head",)

    def __init__(self) -> None:
        super().__init__(js.TransformStream.new())
        self._head = b""

    def relay(self, source: "BodyReader", head: bytes) -> Coroutine[Any, Any, None]:
        branches = cast(WorkerBodyReader, source).release().tee()
        self._branch = branches[1]
        self._head = head
        return self._relay_after(self._writer.write(to_js(head)), branches[0])

    async def _relay_after(self, written: Any, body: Any) -> None:
        # What is piped before the head has been taken would take its place.
        await written
        self._writer.releaseLock()
        await self._relay(body)

    async def relayed(self) -> bytes:
        head, self._head = self._head, b""
        return head or await super().relayed()
