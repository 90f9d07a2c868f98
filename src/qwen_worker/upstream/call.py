"""What a handler asks of an account, and what is sent to its host.

A *call* is a checked request of a client. `prepare` makes of it what one host takes; it is run once for each
target, whatever the number of attempts and accounts there.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from qwen_worker.config.account import Kind, Way
from qwen_worker.upstream.hosts import HostFamily

if TYPE_CHECKING:
    from qwen_worker.dialect import Dialect, Translator


class Ways(NamedTuple):
    """How an account is asked for other APIs, as far as its description says."""

    responses: Way = "bridged"
    """Qwen's own Responses API ignores much of a request without a word (apis-on-the-wire 1.1)."""
    messages: Way | None = None
    """None: natively where the host is known to speak it."""


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
    """What makes the client's answer of the host's; None: the answer goes on as it comes."""
    repairer: "Callable[[], Translator] | None" = None
    """Makes a translator for a native stream that only a repair makes readable."""
    headers: Mapping[str, str] = {}
    """What the host wants to know beside the headers that every request has."""
    retouch: Callable[[bytes], bytes] | None = None
    """Changes the beginning of a native answer, as far as it has been read."""


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
    affinity_key: int
    """The same for all requests of one conversation, which had better stay with one account."""
    dialect: "Dialect"
    """What the client reads."""
    prepare: Callable[[Target], Prepared]
    """Makes the request for a target. Raises InvalidRequest."""
    api: HostApi | None = None
    """What a host must have to be asked; None: nothing that is not everywhere."""
