"""What the core needs from the outside world: Protocols, and the values and exceptions that they use.

The core (everything outside `platform/`) is given these and imports no runtime module, so it runs and is
tested in plain CPython. `platform/worker.py` implements them on the Workers runtime.

The Protocols are for type checkers only. Making them costs time, so at run time their names mean `object`.

Times are integers in milliseconds since the Unix epoch where a name ends in `_ms`, and floats in seconds
where it ends in `_seconds`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from qwen_worker.platform.outbound import OutboundRequest as OutboundRequest

if TYPE_CHECKING:
    from qwen_worker.platform.protocols import Background as Background
    from qwen_worker.platform.protocols import BodyReader as BodyReader
    from qwen_worker.platform.protocols import ByteStream as ByteStream
    from qwen_worker.platform.protocols import Clock as Clock
    from qwen_worker.platform.protocols import Database as Database
    from qwen_worker.platform.protocols import Environment as Environment
    from qwen_worker.platform.protocols import Fetcher as Fetcher
    from qwen_worker.platform.protocols import InboundRequest as InboundRequest
    from qwen_worker.platform.protocols import InboundResponse as InboundResponse
    from qwen_worker.platform.protocols import KeyValueStore as KeyValueStore
    from qwen_worker.platform.protocols import LogSink as LogSink
    from qwen_worker.platform.protocols import Pipe as Pipe
    from qwen_worker.platform.protocols import RateLimit as RateLimit
    from qwen_worker.platform.protocols import Timer as Timer
else:
    Background = BodyReader = ByteStream = Clock = Database = Environment = Fetcher = object
    InboundRequest = InboundResponse = KeyValueStore = LogSink = Pipe = RateLimit = Timer = object


FOREVER_MS = 1 << 62
"""A time that never comes."""


class FetchError(Exception):
    """The upstream could not be reached or the connection broke (DNS, refused, reset, TLS)."""


class FetchTimeout(FetchError):
    """The upstream did not answer within the allowed time."""


class StoreError(Exception):
    """A KV or database operation failed. The message never holds a stored value."""


class TableMissing(StoreError):
    """The database has no such table."""


class StreamBroken(Exception):
    """The upstream's body ended in the middle (its connection was lost)."""


class BodyTooLarge(Exception):
    """The client's body is larger than the limit it was read with."""


class BodyUnreadable(Exception):
    """The client's body could not be read to its end (the client broke the connection, a bad encoding)."""


TRANSLATE_SECONDS = 0.1
"""How long `Pipe.translate` collects bytes that come soon after others before it translates them. Timers are
up to some 25 ms late when many streams are busy.
"""


class Response(NamedTuple):
    """What goes back to the client. `body` is text, bytes, or what the runtime has: a stream or a buffer."""

    status: int
    headers: dict[str, str]
    body: str | bytes | ByteStream | None = None


Respond = Callable[[Response], None]
"""Begins the response. The request's work goes on after it."""


def _no_rate_limit(per_minute: int) -> None:
    """There is none."""


class Runtime(NamedTuple):
    """Everything one request is given from outside."""

    clock: Clock
    fetcher: Fetcher
    kv: KeyValueStore | None
    background: Background
    random: Callable[[], float]
    open_pipe: Callable[[], Pipe]
    open_translating_pipe: Callable[[], Pipe]
    """Opens one that is cheaper for what is translated than for what is relayed."""
    pack_floats: Callable[[list[bytes]], list[bytes]]
    """Makes little-endian float32 of JSON arrays of numbers, which are given without their brackets. Raises
    ValueError if there is anything else in one, or a number that is too large.
    """
    database: Database | None = None
    rate_limit: "Callable[[int], RateLimit | None]" = _no_rate_limit
    """The binding that counts so many requests a minute, if there is one."""
