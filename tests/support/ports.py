"""The core's ports in plain Python: functions and lists in place of a network, a KV namespace and time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from qwen_worker.platform.ports import (
    Background,
    BodyReader,
    BodyTooLarge,
    Clock,
    Database,
    Fetcher,
    InboundResponse,
    KeyValueStore,
    OutboundRequest,
    Pipe,
    RateLimit,
    Runtime,
)
from tests.support.background import TaskBackground
from tests.support.clock import VirtualClock
from tests.support.float32 import pack_floats
from tests.support.streams import MemoryPipe, ScriptedBody


class ScriptedResponse:
    """An answer of Qwen, its body given as a whole."""

    def __init__(
        self,
        status: int = 200,
        body: str | bytes | dict[str, Any] = "",
        headers: dict[str, str] | None = None,
        then: tuple[bytes | float | Exception, ...] = (),
    ) -> None:
        self.status = status
        self.cancelled = False
        self.has_timeout = True
        self.then = then
        """What comes after the body, of one that is too long to be read at once."""
        if isinstance(body, dict):
            self._headers = {"content-type": "application/json", **(headers or {})}
            self.data = json.dumps(body).encode()
        else:
            self._headers = dict(headers or {})
            self.data = body if isinstance(body, bytes) else body.encode()

    buffer = None

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    async def text(self, limit_bytes: int = 65_536) -> str:
        return self.data[:limit_bytes].decode("utf-8", "replace")

    async def whole(self, limit_bytes: int) -> tuple[bytes, BodyReader | None]:
        if len(self.data) <= limit_bytes:
            return self.data, None
        return self.data[: limit_bytes + 1], ScriptedBody(self.data[limit_bytes + 1 :], *self.then)

    def end_timeout(self) -> None:
        self.has_timeout = False

    def reader(self) -> ScriptedBody:
        return ScriptedBody(self.data) if self.data else ScriptedBody()

    def cancel(self) -> None:
        self.cancelled = True


class ScriptedFetcher:
    """A network that is a function: each request goes to `answer`, which returns or raises."""

    def __init__(self, answer: Callable[[OutboundRequest], Any]) -> None:
        self._answer = answer
        self.requests: list[OutboundRequest] = []
        self.timeouts: list[int] = []

    async def fetch(self, request: OutboundRequest, *, timeout_ms: int) -> InboundResponse:
        self.requests.append(request)
        self.timeouts.append(timeout_ms)
        await asyncio.sleep(0)
        result = self._answer(request)
        if isinstance(result, Awaitable):
            result = await result
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]


def unreachable(request: OutboundRequest) -> Any:
    """The answer of a network that a test must not touch."""
    raise AssertionError(f"unexpected request to {request.url}")


class ScriptedRequest:
    """A client's request."""

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: dict[str, str] | None = None,
        body: bytes | str | dict[str, Any] = b"",
    ) -> None:
        self.method = method
        self.path, _, self.query = path.partition("?")
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        if isinstance(body, dict):
            body = json.dumps(body)
        self._body = body.encode() if isinstance(body, str) else body

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def forget_body(self) -> None:
        self.is_forgotten = True

    async def discard_body(self) -> None:
        self.is_discarded = True

    async def body(self, limit_bytes: int) -> bytes:
        if len(self._body) > limit_bytes:
            raise BodyTooLarge
        return self._body


class LogRecorder:
    """A log sink that keeps the lines, parsed."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, level: str, line: str) -> None:
        entry = json.loads(line)
        assert entry["level"] == level
        self.lines.append(entry)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    @property
    def text(self) -> str:
        """Everything logged, to assert that something is not in it."""
        return "\n".join(json.dumps(line) for line in self.lines)


def make_runtime(
    *,
    clock: Clock | None = None,
    fetcher: Fetcher | None = None,
    kv: KeyValueStore | None = None,
    background: Background | None = None,
    random: Callable[[], float] = lambda: 0.5,
    open_pipe: Callable[[], Pipe] = MemoryPipe,
    open_translating_pipe: Callable[[], Pipe] | None = None,
    database: Database | None = None,
    rate_limit: Callable[[int], RateLimit | None] = lambda _: None,
) -> Runtime:
    """A runtime of fakes; without a fetcher every request to the network fails the test."""
    return Runtime(
        clock=clock or VirtualClock(),
        fetcher=fetcher or ScriptedFetcher(unreachable),
        kv=kv,
        background=background or TaskBackground(),
        random=random,
        open_pipe=open_pipe,
        open_translating_pipe=open_translating_pipe or open_pipe,
        pack_floats=pack_floats,
        database=database,
        rate_limit=rate_limit,
    )
