"""An OAuth login as an immutable value: its token's life, and where it calls.

No I/O happens here. The shape of a login is that of the Qwen Code CLI's `oauth_creds.json`:
`{"access_token", "token_type", "refresh_token", "resource_url", "expiry_date"}`, `expiry_date` in
milliseconds since the Unix epoch. Seconds, a number in a text and an ISO date are understood too.
"""

from typing import Any, NamedTuple

from qwen_worker.config.text import is_http_url, printable_text
from qwen_worker.platform.ports import FOREVER_MS

DEFAULT_OAUTH_API_BASE_URL = "https://portal.qwen.ai/v1"
"""Where an OAuth login without a `resource_url` calls; DashScope's own hosts refuse these tokens."""

_SECONDS = range(10**9, 10**11)
"""What is taken for seconds: in milliseconds, these would be dates from 1970 to 1973."""

_NO_URL = ("undefined", "null", "none")
"""What programs write for a `resource_url` that they do not have."""

EXPIRY_MARGIN_MS = 30_000
"""A token counts as valid until this long before its expiry, as in the official CLI."""


class CredentialFormatError(ValueError):
    """A login is not what `oauth_creds.json` holds. `field` names the culprit; no value is ever shown."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}" if field else f"expected {expected}")
        self.field = field
        self.expected = expected


class OAuthToken(NamedTuple):
    """An OAuth login at one moment of its life. The refresh token works exactly once."""

    access_token: str
    refresh_token: str | None = None
    expiry_date_ms: int | None = None
    resource_url: str | None = None
    token_type: str = "Bearer"  # noqa: S105
    refreshed_at_ms: int | None = None
    """When the token endpoint issued it to a gateway; None for a login that the CLI has made."""

    @property
    def usable_until_ms(self) -> int:
        """Until when the access token may be used. An unknown expiry counts as valid until Qwen says no."""
        return FOREVER_MS if self.expiry_date_ms is None else self.expiry_date_ms - EXPIRY_MARGIN_MS

    def is_valid(self, now_ms: int) -> bool:
        """Whether the access token may be used now."""
        return now_ms < self.usable_until_ms

    def is_newer_than(self, other: "OAuthToken") -> bool:
        """Whether this token was issued after `other`; if that cannot be told, it counts as newer.

        Both are stages of one login, whose refresh tokens rotate, so the order is that of their issue.
        """
        if self.refreshed_at_ms is not None and other.refreshed_at_ms is not None:
            return self.refreshed_at_ms > other.refreshed_at_ms
        if self.expiry_date_ms is not None and other.expiry_date_ms is not None:
            return self.expiry_date_ms > other.expiry_date_ms
        return self != other

    def __repr__(self) -> str:
        refreshable = self.refresh_token is not None
        return f"OAuthToken(expiry_date_ms={self.expiry_date_ms}, refreshable={refreshable})"


def oauth_token_from(value: Any) -> OAuthToken:
    """The login in an already parsed `oauth_creds.json` object.

    Raises CredentialFormatError naming the field. Unknown fields are ignored.
    """
    if not isinstance(value, dict):
        raise CredentialFormatError("", "the JSON object of oauth_creds.json")
    return OAuthToken(
        access_token=_required_text(value, "access_token"),
        refresh_token=_optional_text(value, "refresh_token"),
        expiry_date_ms=_expiry_date_ms(value.get("expiry_date")),
        resource_url=_optional_text(value, "resource_url"),
        token_type=_optional_text(value, "token_type") or "Bearer",
    )


def api_base_url(resource_url: str) -> str:
    """The API's base URL for a `resource_url`, which usually has neither scheme nor `/v1`.

    `portal.qwen.ai` -> `https://portal.qwen.ai/v1`; a full URL keeps its scheme; trailing slashes go, and so
    do quotes around it and an endpoint at its end.
    """
    url = resource_url.strip(" \"'`,;")
    url = url if "://" in url else f"https://{url}"
    url = url.rstrip("/")
    if url.count("/") > 2 and not url.endswith("/v1"):
        from qwen_worker.config.base_url import without_endpoint

        url = without_endpoint(url)
    return url if url.endswith("/v1") else f"{url}/v1"


def oauth_api_base_url(resource_url: str | None, configured: str | None) -> str:
    """Where an OAuth login calls: its own `resource_url`, then QWEN_BASE_URL, then the default.

    A `resource_url` that makes no http(s) URL is passed over: a token must not go where nobody meant it to.
    """
    own = usable_resource_url(resource_url)
    return own or configured or DEFAULT_OAUTH_API_BASE_URL


def usable_resource_url(resource_url: str | None) -> str | None:
    """The base URL that a `resource_url` stands for, or None if it is absent or makes no URL."""
    if resource_url is None or resource_url.lower() in _NO_URL:
        return None
    url = api_base_url(resource_url)
    return url if is_http_url(url) else None


def _required_text(value: dict[str, Any], field: str) -> str:
    text = _optional_text(value, field)
    if text is None:
        raise CredentialFormatError(field, "a non-empty string")
    return text


def _optional_text(value: dict[str, Any], field: str) -> str | None:
    text = value.get(field)
    if text is None:
        return None
    if not isinstance(text, str):
        raise CredentialFormatError(field, "a string")
    if not text.isascii():
        from qwen_worker.config.pasted import visible_text

        text = visible_text(text, {})
    text = text.strip()
    if text and printable_text(text) is None:
        raise CredentialFormatError(field, "printable ASCII text")
    return text or None


def _expiry_date_ms(value: Any) -> int | None:
    number = value
    if isinstance(value, str):
        if not value.strip():
            return None
        from qwen_worker.config.pasted import date_ms

        number = date_ms(value.strip())
    elif value is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1e15:
        raise CredentialFormatError("expiry_date", "milliseconds since the Unix epoch")
    return int(number * 1000) if int(number) in _SECONDS else int(number)
