"""The core's ports on the Workers runtime, and the two events it serves: fetch and scheduled.

One module for three runtimes (embedded Pyodide 0.26, production 0.28 and 314): no JavaScript object lives at
module level (a deploy-time snapshot cannot hold one), every dict is converted before it crosses, JavaScript's
`null` and `undefined` become None, and timers are the runtime's own, since Pyodide's asyncio timers are
never cleared and leak when a request ends before they fire.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any

import js
from js import AbortController, Promise, clearTimeout, setTimeout
from pyodide.ffi import JsException, create_once_callable, create_proxy, to_js

from qwen_worker.app import Gateway, Isolate
from qwen_worker.platform import lifetime, natives, ports, promises
from qwen_worker.platform.body_reader import WorkerBodyReader
from qwen_worker.platform.interop import IS_EMBEDDED, absent, js_object, jsnull
from qwen_worker.platform.options import fetch_options, forget_fetch, response_options
from qwen_worker.platform.streams import open_pipe, open_pushed_pipe

DISCARD_MS = 1000
"""How long the body of a refused request is read."""

UNCOMPRESSED = {"accept-encoding": "identity"}
"""A compressed answer that cannot be decoded ends the process of the embedded runtime (workers-runtime)."""

_ISOLATE = Isolate()
_latest_environment: "WorkerEnvironment | None" = None


def serve(request: Any, env: Any, ctx: Any) -> Any:
    """Answers a fetch event with a Response, or with a JavaScript promise of one.

    It makes the promise itself and starts to answer at once: each turn of Pyodide's event loop costs a timer,
    and the runtime's conversion of a coroutine to a promise costs as much as three turns.
    """
    environment = _environment(env)
    answer = _Answer()
    inbound = WorkerRequest(request)
    work = _gateway(environment).handle(inbound, _runtime(environment, ctx, inbound), answer.give)
    lifetime.begin(work)
    return answer.result()


class _Answer:
    """The response to a fetch event, which may be given before it is asked for."""

    __slots__ = ("_deferred", "_response")

    def __init__(self) -> None:
        self._response: Any = None
        self._deferred: Any = None

    def give(self, response: ports.Response) -> None:
        self._response = _to_js_response(response)
        if self._deferred is not None:
            self._deferred.resolve(self._response)

    def result(self) -> Any:
        if self._response is not None:
            return self._response
        self._deferred = natives.with_resolvers()
        return self._deferred.promise


async def scheduled(env: Any, ctx: Any) -> None:
    """Serves a scheduled (cron) event."""
    environment = _environment(env)
    await _gateway(environment).scheduled(_runtime(environment, ctx, None))


def _environment(env: Any) -> "WorkerEnvironment":
    """The environment; the same one for as long as the runtime hands us the same object."""
    global _latest_environment
    if _latest_environment is None or not _latest_environment.is_of(env):
        _latest_environment = WorkerEnvironment(env)
    return _latest_environment


def _gateway(environment: "WorkerEnvironment") -> Gateway:
    """The isolate's gateway; made anew for another environment (a changed secret)."""
    return _ISOLATE.gateway(environment, console_sink)


def _runtime(environment: "WorkerEnvironment", ctx: Any, inbound: "WorkerRequest | None") -> ports.Runtime:
    return ports.Runtime(
        _CLOCK,
        WorkerFetcher(inbound),
        environment.kv,
        WorkerBackground(ctx),
        random.random,
        open_pipe,
        open_pushed_pipe,
        _pack_floats,
        environment.database,
        environment.rate_limit,
    )


def console_sink(level: str, line: str) -> None:
    """Writes a log line with the console method of its level, which `wrangler tail` filters by."""
    if level == "error":
        natives.console_error(line)
    elif level == "warning":
        natives.console_warn(line)
    elif level == "debug":
        natives.console_debug(line)
    else:
        natives.console_log(line)


class WorkerEnvironment:
    """Variables, secrets and bindings of the Worker."""

    __slots__ = ("_env", "database", "kv")

    def __init__(self, env: Any) -> None:
        self._env = env
        namespace = getattr(env, "QWEN_KV", None)
        self.kv = None if absent(namespace) else WorkerKV(namespace)
        database = getattr(env, "USAGE_DB", None)
        self.database = None if absent(database) else _database(database)

    def is_of(self, env: Any) -> bool:
        """Whether `env` is this environment: the runtime makes a new one when a value changes."""
        return bool(self._env == env)

    def rate_limit(self, per_minute: int) -> ports.RateLimit | None:
        binding = getattr(self._env, f"RATE_LIMIT_{per_minute}", None)
        if absent(binding):
            return None
        from qwen_worker.platform.database import WorkerRateLimit

        return WorkerRateLimit(binding)

    def get(self, name: str) -> str | None:
        value = getattr(self._env, name, None)
        if absent(value):
            return None
        return value if isinstance(value, str) else str(js.JSON.stringify(value))


class WorkerRequest:
    """The client's request."""

    __slots__ = ("_get_header", "_is_read", "_request", "method", "path", "received")

    def __init__(self, request: Any) -> None:
        self._request = request
        self.received: tuple[bytes, Any] | None = None
        """The body, and the JavaScript buffer that it came in."""
        self._is_read = False
        self._get_header = request.headers.get
        self.method: str = request.method
        self.path = _path_of(request.url)

    def header(self, name: str) -> str | None:
        value = self._get_header(name)
        return None if value is jsnull else value

    @property
    def query(self) -> str:
        return str(self._request.url).partition("#")[0].partition("?")[2]

    async def body(self, limit_bytes: int) -> bytes:
        declared = self.header("content-length")
        if declared is not None and declared.isdigit():
            if int(declared) > limit_bytes:
                raise ports.BodyTooLarge
            try:
                buffer = await promises.request_bytes(self._request)
                self._is_read = True
                body: bytes = buffer.to_bytes()
                self.received = body, buffer
                return body
            except JsException:
                raise ports.BodyUnreadable from None
        return await self._read_undeclared(limit_bytes)

    def forget_body(self) -> None:
        self.received = None

    async def discard_body(self) -> None:
        if self._is_read or absent(self._request.body):
            return
        self._is_read = True
        # A signal would not do: `pipeTo` minds it only when the next bytes come.
        drained = self._request.body.pipeTo(js.WritableStream.new())
        with suppress(JsException):
            await Promise.race(to_js([drained, js.scheduler.wait(DISCARD_MS)]))

    async def _read_undeclared(self, limit_bytes: int) -> bytes:
        """Reads a body whose length is not known beforehand (chunked) and stops at the limit."""
        if absent(self._request.body):
            return b""
        chunks: list[bytes] = []
        size = 0
        reader = self._request.body.getReader()
        try:
            while not (step := await reader.read()).done:
                chunk = step.value.to_bytes()
                size += len(chunk)
                if size > limit_bytes:
                    reader.releaseLock()
                    raise ports.BodyTooLarge
                chunks.append(chunk)
        except JsException:
            raise ports.BodyUnreadable from None
        self._is_read = True
        return b"".join(chunks)


class WorkerClock:
    """The runtime's time. On Workers it stands still between I/O, which does no harm here."""

    __slots__ = ()

    def now_ms(self) -> int:
        return int(time.time() * 1000)

    async def sleep(self, seconds: float) -> None:
        controller = AbortController.new()
        try:
            await js.scheduler.wait(int(seconds * 1000), js_object({"signal": controller.signal}))
        except asyncio.CancelledError:
            controller.abort()
            raise

    def call_later(self, seconds: float, callback: Callable[[], None]) -> "WorkerTimer":
        return WorkerTimer(seconds, callback)


_CLOCK = WorkerClock()


class WorkerTimer:
    """`setTimeout`. The callback belongs to the request that has set it, and so do tasks that it makes."""

    __slots__ = ("_callback", "_context", "_id", "_proxy")

    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback
        self._context = copy_context()
        self._proxy: Any = create_once_callable(self._fire)
        self._id = setTimeout(self._proxy, int(seconds * 1000))

    def cancel(self) -> None:
        if self._callback is not None:
            self._callback = None
            if not lifetime.is_over():
                clearTimeout(self._id)
            self._proxy.destroy()

    def _fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            self._context.run(callback)


class WorkerBackground:
    """`ctx.waitUntil`."""

    __slots__ = ("_ctx",)

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Only a proxy of a Task completes on every runtime; the embedded one drops a bare coroutine."""
        if lifetime.is_over():
            work.close()
            return
        loop = asyncio.get_running_loop()
        # In a context of its own: it outlives the request.
        task = asyncio.Task(work, loop=loop, context=Context())
        proxy = create_proxy(task)
        self._ctx.waitUntil(proxy)
        # The proxy must outlive the callback by which the runtime learns that the task is done.
        task.add_done_callback(lambda _: loop.call_soon(loop.call_soon, proxy.destroy))


class WorkerKV:
    """A KV namespace binding."""

    __slots__ = ("_namespace",)

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def get(self, key: str) -> str | None:
        try:
            value = await self._namespace.get(key)
        except JsException as error:
            raise ports.StoreError(error.name) from None
        return None if absent(value) else str(value)

    async def put(self, key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        options = {} if expiration_ttl_seconds is None else {"expirationTtl": expiration_ttl_seconds}
        try:
            await self._namespace.put(key, value, js_object(options))
        except JsException as error:
            raise ports.StoreError(error.name) from None

    async def delete(self, key: str) -> None:
        try:
            await self._namespace.delete(key)
        except JsException as error:
            raise ports.StoreError(error.name) from None


class WorkerFetcher:
    """The runtime's fetch. What `inbound` has brought is sent as the very buffer that it came in."""

    __slots__ = ("_inbound",)

    def __init__(self, inbound: WorkerRequest | None) -> None:
        self._inbound = inbound

    async def fetch(self, request: ports.OutboundRequest, *, timeout_ms: int) -> "WorkerResponse":
        controller = natives.new_controller()
        timer = setTimeout(natives.abort, timeout_ms, controller)
        headers = {**request.headers, **UNCOMPRESSED} if IS_EMBEDDED else request.headers
        body = None if request.body is None else self._native(request.body)
        options = fetch_options(request.method, headers, controller.signal, body)
        try:
            try:
                fetched = promises.fetched(request.url, options)
            finally:
                forget_fetch()
            response = await fetched
        except JsException as error:
            clearTimeout(timer)
            raise _fetch_error(error) from None
        return WorkerResponse(response, controller, timer)

    def _native(self, body: bytes) -> Any:
        received = None if self._inbound is None else self._inbound.received
        return received[1] if received is not None and received[0] is body else to_js(body)


class WorkerResponse:
    """Qwen's answer."""

    __slots__ = ("_controller", "_get_header", "_response", "_timer", "buffer", "status")

    def __init__(self, response: Any, controller: Any, timer: Any) -> None:
        self.buffer: Any = None
        self._response = response
        self._controller = controller
        self._timer = timer
        self._get_header = response.headers.get
        self.status: int = response.status

    def header(self, name: str) -> str | None:
        value = self._get_header(name)
        return None if value is jsnull else value

    async def text(self, limit_bytes: int = 65_536) -> str:
        data, rest = await self.whole(limit_bytes)
        if rest is not None:
            self.cancel()
        return data[:limit_bytes].decode("utf-8", "replace")

    async def whole(self, limit_bytes: int) -> tuple[bytes, WorkerBodyReader | None]:
        declared = self.header("content-length")
        if declared is not None and declared.isdigit() and int(declared) <= limit_bytes:
            try:
                self.buffer = await promises.response_bytes(self._response)
                return self.buffer.to_bytes(), None
            except JsException as error:
                raise _fetch_error(error) from None
        reader = self.reader()
        pieces: list[bytes] = []
        size_bytes = 0
        while (piece := await self._read(reader)) is not None:
            pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                return b"".join(pieces), reader
        return b"".join(pieces), None

    async def _read(self, reader: WorkerBodyReader) -> bytes | None:
        try:
            return await reader.read()
        except ports.StreamBroken:
            timed_out = self._controller.signal.aborted
            raise (ports.FetchTimeout if timed_out else ports.FetchError)() from None

    def end_timeout(self) -> None:
        clearTimeout(self._timer)

    def reader(self) -> WorkerBodyReader:
        return WorkerBodyReader(self._response.body)

    def cancel(self) -> None:
        self._controller.abort()


def _database(binding: Any) -> ports.Database:
    from qwen_worker.platform.database import WorkerDatabase

    return WorkerDatabase(binding)


def _pack_floats(arrays: list[bytes]) -> list[bytes]:
    from qwen_worker.platform.float32 import pack_floats

    return pack_floats(arrays)


def _fetch_error(error: JsException) -> ports.FetchError:
    """Only the exception's name tells a time-out from a broken connection."""
    if error.name in ("TimeoutError", "AbortError"):
        return ports.FetchTimeout()
    return ports.FetchError()


def _path_of(url: str) -> str:
    """The path of an absolute URL, without query and fragment."""
    start = url.find("/", url.find("://") + 3)
    if start < 0:
        return "/"
    path = url[start:]
    query = path.find("?")
    return path if query < 0 else path[:query]


def _to_js_response(response: ports.Response) -> Any:
    body = to_js(response.body) if isinstance(response.body, bytes) else response.body
    return natives.new_response(body, response_options(response.status, response.headers))
