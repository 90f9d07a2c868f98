"""What a configured value must look like, whichever variable holds it."""

from typing import Any
from urllib.parse import urlsplit


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
