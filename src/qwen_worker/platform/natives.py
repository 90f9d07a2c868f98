"""The functions of JavaScript that every request calls, and some options, each an attribute of this module.

Looking one up in JavaScript costs as much as calling it, so an isolate does that once: when it is first
needed, since a memory snapshot cannot hold any.
"""

from collections.abc import Callable
from typing import Any

import js
from js import Array, Function, Promise, Reflect

from qwen_worker.platform.interop import js_object


def _binder(method: Any) -> Any:
    """A function that binds its arguments to a method, first the object that it is to be called on."""
    return Function.prototype.bind.bind(method)


_MAKE: dict[str, Callable[[], Any]] = {
    # `controller.abort()`, as a function of the controller
    "abort": lambda: Function.prototype.call.bind(js.AbortController.prototype.abort),
    # binds Promise and an array of promises to `allSettled`
    "bind_all_settled": lambda: Promise.allSettled.bind,
    # binds a stream's writer to its `close`
    "bind_close": lambda: _binder(js.WritableStreamDefaultWriter.prototype.close),
    # binds `undefined` and the arguments of `fetch` to it
    "bind_fetch": lambda: js.fetch.bind,
    # binds bytes to the decoder of Latin-1
    "bind_latin1": lambda: Function.prototype.bind.bind(
        js.TextDecoder.prototype.decode, js.TextDecoder.new("latin1")
    ),
    # binds a stream, where to, and options to `pipeTo`
    "bind_pipe_to": lambda: _binder(js.ReadableStream.prototype.pipeTo),
    # binds a stream's reader to its `read`
    "bind_read": lambda: _binder(js.ReadableStreamDefaultReader.prototype.read),
    # binds a reader of bytes, how many at least and an array for them to `readAtLeast`
    "bind_read_at_least": lambda: _binder(js.ReadableStreamBYOBReader.prototype.readAtLeast),
    # binds a Request to its `arrayBuffer`
    "bind_request_bytes": lambda: _binder(js.Request.prototype.arrayBuffer),
    # binds a Response to its `arrayBuffer`
    "bind_response_bytes": lambda: _binder(js.Response.prototype.arrayBuffer),
    # binds a promise and two callbacks to `then`
    "bind_then": lambda: _binder(Reflect.get(Promise.prototype, "then")),
    # binds a stream's writer and a chunk to `write`
    "bind_write": lambda: _binder(js.WritableStreamDefaultWriter.prototype.write),
    # the options of a reader that reads bytes
    "byob": lambda: js_object({"mode": "byob"}),
    # calls a function that has all its arguments bound to it; returns an array of what that returns
    "call_in_array": lambda: Array.of(None).map,
    "console_debug": lambda: js.console.debug,
    "console_error": lambda: js.console.error,
    "console_log": lambda: js.console.log,
    "console_warn": lambda: js.console.warn,
    # the options of `pipeTo` a stream that goes on afterwards
    "goes_on": lambda: js_object({"preventClose": True, "preventAbort": True}),
    "is_finite": lambda: js.Number.isFinite,
    "new_bytes": lambda: js.Uint8Array.new,
    "new_controller": lambda: js.AbortController.new,
    "new_float32": lambda: js.Float32Array.new,
    "new_identity_stream": lambda: js.IdentityTransformStream.new,
    "new_response": lambda: js.Response.new,
    "parse_json": lambda: js.JSON.parse,
    "with_resolvers": lambda: Promise.withResolvers,
}


def __getattr__(name: str) -> Any:
    """Looks a function up. Python asks only for what is not there yet."""
    make = _MAKE.get(name)
    if make is None:
        raise AttributeError(name)
    made = globals()[name] = make()
    return made
