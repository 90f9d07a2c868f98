"""What the core needs from the outside world, as Protocols; `ports.py` has the values and exceptions.

Only type checkers import this module: everyone else takes the names from `ports`, where they cost nothing.

Times are integers in milliseconds since the Unix epoch where a name ends in `_ms`, and floats in seconds
where it ends in `_seconds`.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from qwen_worker.platform.outbound import OutboundRequest


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Forgets the callback. Harmless when it has been called."""
        ...


class Clock(Protocol):
    """Time, replaced by a virtual one in tests and in the simulation."""

    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since the Unix epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. Safe inside one request; never shared between requests."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls `callback` once, later. Costs a tenth of a `sleep` that is cancelled."""
        ...


class KeyValueStore(Protocol):
    """A Workers KV namespace: eventually consistent, last write wins, one write a second to a key."""

    async def get(self, key: str) -> str | None:
        """The value, at most 60 s stale; None if there is none. Raises StoreError."""
        ...

    async def put(self, key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        """Writes the value. Raises StoreError (an error, or more than one write a second to the key)."""
        ...

    async def delete(self, key: str) -> None:
        """Removes the value, if there is one. Raises StoreError."""
        ...


class Database(Protocol):
    """A D1 database: SQLite, one location writes. Numbers up to 2**53, texts, no NULL."""

    async def all(self, sql: str, *params: str | int) -> list[dict[str, Any]]:
        """Runs a query and returns its rows. Raises StoreError, TableMissing."""
        ...

    async def batch(self, *statements: tuple[str, tuple[str | int, ...]]) -> None:
        """Runs statements with their parameters; all of them take effect, or none. Raises StoreError,
        TableMissing.
        """
        ...


class RateLimit(Protocol):
    """A rate limiting binding."""

    async def allows(self, key: str) -> bool:
        """Counts a request of `key`, and tells whether it is within the limit. Raises StoreError."""
        ...


class Background(Protocol):
    """Work that must survive the end of the request (`ctx.waitUntil`)."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` to its end even if the client hangs up. `work` must handle its own errors."""
        ...


class ByteStream(Protocol):
    """A response body in the runtime's own form: a stream or a buffer. The core passes it on and never looks
    inside.
    """


class BodyReader(Protocol):
    """The body of Qwen's answer while we look at its beginning, before a Pipe takes over."""

    async def read(self) -> bytes | None:
        """The next bytes as they arrive, at least one; None at the end. Raises StreamBroken."""
        ...


class Pipe(Protocol):
    """The body of a response to the client, written by us and by the runtime's native relaying.

    Comments may be written first. Then `relay` or `translate`, once, and when that has returned or raised,
    what ends the stream may be written. When a client goes away, the runtime ends its request: code that
    waits here never runs on.
    """

    heard: int
    """How many bytes of the source are known to have come; rises while `relay` or `translate` runs."""

    @property
    def readable(self) -> ByteStream:
        """What the client is given; asked for no sooner than something is written, relayed or translated."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends `data`; returns when the runtime has taken it. Not while `relay` or `translate` runs."""
        ...

    def relay(
        self,
        source: BodyReader,
        head: bytes,
        seen: Callable[[bytes], None] | None = None,
        is_over: Callable[[], bool] = bool,
    ) -> Coroutine[Any, Any, None]:
        """Sends `head` at once, then all that is left of `source`, natively; to be awaited, until the end of
        the source.

        `seen` gets the bytes that went through, `head` too: after each `look`, and what is left before this
        returns or raises. None: the bytes are not kept. `is_over` tells whether nothing can follow what was
        seen.

        Raises StreamBroken (when awaited) if the source breaks or is cancelled.
        """
        ...

    def translate(
        self, source: BodyReader, head: bytes, feed: Callable[[bytes], bytes], is_over: Callable[[], bool]
    ) -> Coroutine[Any, Any, None]:
        """Sends `feed(head)` at once, then what `feed` makes of the rest of `source`; to be awaited, until
        the end of the source or of what is wanted of it (`is_over`). The caller then cancels what is left of
        `source`.

        What comes first after `head`, or after a pause of TRANSLATE_SECONDS, goes out at once as well; later
        bytes are gathered, so that nothing is held back for longer than TRANSLATE_SECONDS. A client that
        reads slowly stops the reading of `source`.

        Raises StreamBroken (when awaited) if the source breaks or is cancelled, or if the client is gone;
        and what `feed` raises: at once for `head`, otherwise when awaited.
        """
        ...

    def look(self) -> None:
        """Asks for what was relayed since the last look: `seen` gets it soon, or as soon as there is
        something. Bytes stay in memory until they are looked at. Harmless when there is nothing to see.
        """
        ...

    def close(self) -> None:
        """Ends the response."""
        ...


class InboundResponse(Protocol):
    """An answer whose headers have arrived and whose body is still to be read, once, in one way."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    def header(self, name: str) -> str | None:
        """A header's value by its lower-case name, or None."""
        ...

    async def text(self, limit_bytes: int = 65_536) -> str:
        """The body decoded as UTF-8 (undecodable bytes replaced), cut off after `limit_bytes`.

        Raises FetchError if the connection breaks, FetchTimeout if the request's time is up.
        """
        ...

    @property
    def buffer(self) -> ByteStream | None:
        """What `whole` has read, in the runtime's own form, which needs no copy; None: not kept."""
        ...

    async def whole(self, limit_bytes: int) -> tuple[bytes, BodyReader | None]:
        """The body; if it is longer than `limit_bytes`, its beginning and a reader of the rest.

        Raises what `text` raises.
        """
        ...

    def end_timeout(self) -> None:
        """Ends the time-out of the request: from now on the caller limits the time of the answer."""
        ...

    def reader(self) -> BodyReader:
        """The body to be read piece by piece, or to be handed to a Pipe."""
        ...

    def cancel(self) -> None:
        """Closes the connection to Qwen. Harmless when the answer has ended."""
        ...


class Fetcher(Protocol):
    """The runtime's fetch."""

    async def fetch(self, request: OutboundRequest, *, timeout_ms: int) -> InboundResponse:
        """Sends the request and returns when the headers of the answer are there.

        `timeout_ms` bounds the time until the answer is whole, or until its `end_timeout` is called.
        Redirects are not followed. Raises FetchTimeout or FetchError.
        """
        ...


class InboundRequest(Protocol):
    """The client's request."""

    @property
    def method(self) -> str:
        """The HTTP method as sent, whatever it is."""
        ...

    @property
    def path(self) -> str:
        """The path as sent: percent-encoded, no query, at least "/"."""
        ...

    @property
    def query(self) -> str:
        """The query as sent: percent-encoded, without the question mark."""
        ...

    def header(self, name: str) -> str | None:
        """A header's value by its lower-case name, or None."""
        ...

    async def discard_body(self) -> None:
        """Reads and forgets what has not been read of the body, for a second at most. Never raises."""
        ...

    def forget_body(self) -> None:
        """Frees what is kept of the body, so that it can be sent to Qwen without a copy."""
        ...

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLarge (without reading on) or BodyUnreadable."""
        ...


class LogSink(Protocol):
    """Where log lines go (`console.*` on Workers)."""

    def __call__(self, level: str, line: str) -> None:
        """Takes one line; `level` is debug, info, warning or error."""
        ...


class Environment(Protocol):
    """The Worker's variables and secrets."""

    def get(self, name: str) -> str | None:
        """The value of a variable, or None when it is not set."""
        ...
