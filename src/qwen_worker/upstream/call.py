"""What a handler asks of an account, and what is sent to its host.

A *call* is a checked request of a client. `prepare` turns it into what one host takes. It runs once for each
target, however many attempts and accounts there are.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qwen_worker.config.account import Kind, Way
from qwen_worker.json_text import parse
from qwen_worker.stream_tail import KEPT_BYTES
from qwen_worker.upstream.hosts import HostFamily

if TYPE_CHECKING:
    from qwen_worker.dialect import Dialect, Translator
    from qwen_worker.errors import ProxyError


class Ways(NamedTuple):
    """How an account serves the other APIs, as far as its description says."""

    responses: Way = "bridged"
    """Qwen's own Responses API ignores many fields without an error (apis-on-the-wire 1.1)."""
    messages: Way | None = None
    """None: natively where the host is known to speak it."""
    completions: Way | None = None
    """None: natively where the host is known to have them."""


class Target(NamedTuple):
    """Where a request goes, as far as path and body depend on it."""

    kind: Literal["oauth", "api_key"]
    family: HostFamily
    base_url: str
    model: str
    """The model by the name that it has there."""
    ways: Ways = Ways()


class Prepared(NamedTuple):
    """A request as one target takes it."""

    url: str
    body: bytes
    dialect: "Dialect"
    """What the host answers in."""
    translator: "Translator | None" = None
    """Turns the host's answer into the client's; None: the answer is passed on unchanged."""
    repairer: "Callable[[], Translator] | None" = None
    """Makes a translator for a native stream that clients cannot read without a repair."""
    headers: Mapping[str, str] = {}
    """Headers for this host, beside those that every request has."""
    retouch: Callable[[bytes], bytes] | None = None
    """Changes the beginning of a native answer, as far as it has been read."""
    kept_bytes: int = KEPT_BYTES
    """How much of the end of a native stream `dialect` wants to see."""
    read: Callable[[bytes], Any] = parse
    """Reads the JSON of a whole answer, as far as `dialect` wants to see it. Raises JsonTextError."""


class HostApi(NamedTuple):
    """An API that not every host has."""

    name: str
    """Its name in an error."""
    is_at: Callable[[Kind, str], bool]
    """Whether the host of an account has it, by the account's kind and base URL."""


class Call(NamedTuple):
    """A checked request, as accounts and attempts see it."""

    model: str | None
    """The model that the client names; None: the default one."""
    stream: bool
    affinity_key: Callable[[], int]
    """Gives a number that is the same for all requests of one conversation, which should stay with one
    account.
    """
    dialect: "Dialect"
    """What the client reads."""
    prepare: Callable[[Target], Prepared]
    """Makes the request for a target. Raises InvalidRequest."""
    explain: Callable[["ProxyError"], None] | None = None
    """Adds to an error what this API's clients want to know about the request."""
    api: HostApi | None = None
    """What a host must have to be asked; None: nothing that is not everywhere."""
    get_ready: Callable[[], None] | None = None
    """Given if the answer is translated, whichever host it is from: gets ready, while Qwen is awaited, what
    the stream begins with.
    """
