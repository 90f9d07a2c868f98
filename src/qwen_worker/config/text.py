"""What a configured value must look like, whichever variable holds it."""

from typing import Any
from urllib.parse import urlsplit

_QUOTES_AND_SEPARATORS = ('"', "'", "`", ",", ";")
_ODD_BEGINNINGS = (
    *('"', "'", "`", "$", "Authorization", "authorization", "export ", "set "),
    *("CLIENT_", "DASHSCOPE_", "DEFAULT_", "MODEL_", "OPENAI_", "QWEN_"),
)


def looks_pasted(name: str, text: str) -> bool:
    """Whether a variable's value may hold something that does not belong to it; `text` is stripped.

    It is cheap, since it looks at every value. `pasted` finds out what is wrong, and what was meant.
    """
    if not text.isascii() or "\0" in text or "\r" in text or "\x1b" in text:
        return True
    return (
        text.endswith(_QUOTES_AND_SEPARATORS)
        or text.startswith((*_ODD_BEGINNINGS, name))
        or text[:6].lower() == "bearer"
    )


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


def api_key_text(value: Any) -> str | None:
    """`value` if it can be an API key: printable ASCII without spaces, quotes, commas or semicolons."""
    key = printable_text(value)
    return None if key is None or any(character in " \"'`,;" for character in key) else key
