"""An account as it is configured, as an immutable value."""

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from qwen_worker.config.login import OAuthToken

Kind = Literal["oauth", "api_key"]

Way = Literal["native", "bridged"]
"""Through the host's own API, or translated to its chat completions."""

DEFAULT_PRIORITIES: dict[Kind, int] = {"api_key": 10, "oauth": 20}
"""Keys are used before logins where no priority says otherwise."""


class AccountSettings(NamedTuple):
    """One account, as it is configured."""

    kind: Kind
    label: str
    identity: str
    """The fingerprint of its secret; "kv" for a login that lives in KV alone, "key" for a key that has no
    other account beside it.
    """
    priority: int
    models: tuple[str, ...] = ()
    """The only models that it serves; empty: any."""
    base_url: str | None = None
    """The base URL of its own, without trailing slash."""
    login: "OAuthToken | None" = None
    api_key: str | None = None
    responses: Way = "bridged"
    """How it is asked for Responses: through chat completions, or the host's own API."""
    messages: Way | None = None
    """How it is asked for Messages; None: natively where the host is known to speak it."""
    completions: Way | None = None
    """How it is asked for legacy completions; None: natively where the host is known to have them."""
    is_main_login: bool = True
    """Whether it is the first login of QWEN_CLI_AUTH, or the one in KV."""

    def __repr__(self) -> str:
        return f"AccountSettings(kind={self.kind!r}, label={self.label!r}, priority={self.priority})"


KV_ACCOUNT = AccountSettings("oauth", "QWEN_KV", "kv", DEFAULT_PRIORITIES["oauth"])
"""A login that is in KV, and in no variable."""


def is_bare_key(text: str) -> bool:
    """Whether the text of a variable is a key itself, and no JSON that describes accounts."""
    return not text.startswith(("{", "["))
