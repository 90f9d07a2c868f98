"""The promises that every request waits for, without the futures that Pyodide makes of promises.

When Python calls a function that returns a promise, Pyodide makes an asyncio future of it, and what awaits
that is woken in a later turn of the event loop: some 60 us for each on current runtimes. Here the function is
called by `Array.map`, which returns an array, and the promise itself wakes the task that awaits it.

The functions return what is to be awaited, which raises JsException if the promise is broken.
"""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from typing import Any

import js
from js import queueMicrotask
from pyodide.ffi import create_once_callable

from qwen_worker.platform import natives
from qwen_worker.platform.interop import jsnull


def fetched(url: str, options: Any) -> "NativePromise":
    """`fetch(url, options)`."""
    return called(natives.bind_fetch(None, url, options))


def request_bytes(request: Any) -> "NativePromise":
    """`request.arrayBuffer()`."""
    return called(natives.bind_request_bytes(request))


def response_bytes(response: Any) -> "NativePromise":
    """`response.arrayBuffer()`."""
    return called(natives.bind_response_bytes(response))


def read(reader: Any) -> "NativePromise":
    """`reader.read()` of a default reader."""
    return called(natives.bind_read(reader))


def called(function: Any, *, has_value: bool = True) -> "NativePromise":
    """`function()`, of a JavaScript function with all that it needs bound to it."""
    return NativePromise(natives.call_in_array(function)[0], has_value=has_value)


_BARE = (str, int, float, type(None))
"""What is no object in JavaScript."""


class NativePromise:
    """A promise of a JavaScript object, or without a value, which one task awaits.

    It is to asyncio's tasks what a future is to them.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callbacks",
        "_error",
        "_has_value",
        "_is_done",
        "_loop",
        "_value",
    )

    def __init__(self, promise: Any, *, has_value: bool = True) -> None:
        self._asyncio_future_blocking = False
        self._loop = asyncio.get_running_loop()
        self._callbacks: list[tuple[Callable[[Any], None], Context]] = []
        self._has_value = has_value
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None
        settle = create_once_callable(self._settle)
        # Called by the runtime: if Python called `then`, Pyodide would make a future of what it returns.
        queueMicrotask(natives.bind_then(promise, settle, settle))

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def result(self) -> Any:
        """The object. Raises what the wait ended with instead."""
        if self._error is not None:
            raise self._error
        return self._value

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the awaiting task must be of."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], None], *, context: Context | None = None) -> None:
        """Has `callback` called with this object, when it is done."""
        self._callbacks.append((callback, context or copy_context()))

    def remove_done_callback(self, callback: Callable[[Any], None]) -> int:
        """Takes back what was asked for; returns how often it was."""
        kept = [entry for entry in self._callbacks if entry[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks = kept
        return removed

    def cancel(self, msg: object = None) -> bool:
        """Ends the wait. What the promise will be is of no interest then."""
        if self._is_done:
            return False
        self._is_done = True
        self._error = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        for callback, context in self._callbacks:
            self._loop.call_soon(callback, self, context=context)
        return True

    def _settle(self, outcome: Any) -> None:
        """Takes what the promise was kept with, which is no error, or why it was broken."""
        if self._is_done:
            return
        self._is_done = True
        # Asking whether something is a JsProxy takes Pyodide ten times as long as these questions.
        if isinstance(outcome, BaseException):
            self._error = outcome
        elif self._has_value and (outcome is jsnull or isinstance(outcome, _BARE)):
            self._error = js.Error.new("a promise was broken without an error")
        else:
            self._value = outcome
        # Not in a turn of their own: no other task is running when a promise settles.
        for callback, context in self._callbacks:
            context.run(callback, self)
