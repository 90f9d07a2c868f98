"""What a call to Qwen needs of a login or of a key, as an immutable value. No I/O happens here."""

from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

DEFAULT_API_KEY_BASE_URL = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"

RECORD_KEY = "qwen_oauth_credentials"
"""Where KV holds the first login of QWEN_CLI_AUTH, the same key as the predecessor's."""

FOREVER_MS = 1 << 62
"""A time that never comes."""


class Credential(NamedTuple):
    """What one call to Qwen needs: the bearer secret, and the base URL (no trailing slash) it belongs to."""

    kind: Literal["oauth", "api_key"]
    secret: str
    base_url: str

    def __repr__(self) -> str:
        return f"Credential(kind={self.kind!r}, base_url={self.base_url!r})"


def is_http_url(text: str) -> bool:
    """Whether `text` is an absolute http(s) URL with a host, without credentials, query or fragment."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0
            and not parts.query
            and not parts.fragment
            and not any(character.isspace() for character in text)
        )
    except ValueError:
        return False


def printable_text(value: Any) -> str | None:
    """`value` if it is a non-empty string of printable ASCII, fit for a header; otherwise None."""
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return value.strip() or None
    return None
