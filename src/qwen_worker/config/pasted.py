"""Values as people paste them: takes away what surrounds them, and tells what that was.

Loaded only if `looks_pasted` or a failure says that something is odd. What was mended is told in a few words,
which never hold the value.
"""

import re
from typing import NamedTuple

SPACES = "no-break spaces"
INVISIBLE = "invisible characters"
UTF_16 = "UTF-16 text"
NAME = "the variable's name in front of it"
BEARER = "`Bearer` in front of it"
QUOTES = "quotes around it"
SEPARATOR = "a comma or semicolon at its end"

_KIN = {
    "CLIENT_KEYS": ("OPENAI_API_KEY",),
    "OPENAI_API_KEY": ("CLIENT_KEYS",),
    "QWEN_API_KEY": ("DASHSCOPE_API_KEY", "OPENAI_API_KEY"),
    "QWEN_BASE_URL": ("OPENAI_BASE_URL",),
    "OPENAI_BASE_URL": ("QWEN_BASE_URL",),
    "DEFAULT_MODEL": ("OPENAI_MODEL",),
    "MODEL_ALIASES": ("OPENAI_MODEL",),
    "OPENAI_MODEL": ("DEFAULT_MODEL", "MODEL_ALIASES"),
}
"""Names that may stand in front of a variable's value besides its own."""

_MOST_LAYERS = 12
"""How many things are taken away at most."""

_MANGLED_MARKS = re.compile(r"\A(?:\u00ff\u00fe|\u00fe\u00ff|\u00ef\u00bb\u00bf)")
"""A byte order mark that was read in another encoding."""

_INVISIBLE = re.compile(
    "\x1b\\[20[01]~|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
"""Byte order marks, zero-width characters, marks of direction, control characters, the marks that a terminal
puts around a paste.
"""

_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029]")
_BEARER = re.compile(r"(?:authorization\s*[:=]\s*)?bearer\s+(?=\S)", re.IGNORECASE)
_QUOTES = (
    '"\u201c\u201d\u201e\u201f\u00ab\u00bb',
    "'`\u2018\u2019\u201a\u201b\u2039\u203a\u00b4",
)
"""Double quotes and single ones, straight and curly; one opens what any other of its kind closes."""


class Pasted(NamedTuple):
    """What was meant, and what was mended, in words."""

    text: str
    mended: tuple[str, ...]


def mended_text(name: str, text: str) -> Pasted:
    """The value of the variable `name` without what does not belong to it.

    If nothing would remain, the value is returned unchanged: a broken list of keys must not count as no keys.
    """
    mended: dict[str, None] = {}
    clean = visible_text(text, mended).strip()
    for _ in range(_MOST_LAYERS):
        for what, without in (
            (NAME, _without_name(name, clean)),
            (BEARER, _without_bearer(name, clean)),
            (QUOTES, without_quotes(clean)),
            (SEPARATOR, clean.rstrip(",; \n\t")),
        ):
            if without != clean:
                clean = without.strip()
                mended[what] = None
                break
        else:
            break
    return Pasted(clean, tuple(mended)) if clean else Pasted(text, ())


def visible_text(text: str, mended: dict[str, None]) -> str:
    """The text without characters that nobody sees, with plain spaces and line ends."""
    if "\0" in text:
        mended[UTF_16] = None
        text = _MANGLED_MARKS.sub("", text.replace("\0", "").replace("\ufffd", ""))
    for what, odd, instead in ((INVISIBLE, _INVISIBLE, ""), (SPACES, _SPACE, " ")):
        clean = odd.sub(instead, text)
        if clean != text:
            mended[what] = None
            text = clean
    if text.startswith("\u00ef\u00bb\u00bf"):
        mended[INVISIBLE] = None
        text = _MANGLED_MARKS.sub("", text)
    return _LINE_END.sub("\n", text)


def without_quotes(text: str) -> str:
    """The text without a pair of quotes around it, if there is one; a list of quoted items stays as it is."""
    inner = text[1:-1].strip()
    for quotes in _QUOTES:
        if len(text) > 1 and text[0] in quotes and text[-1] in quotes:
            is_json = inner.lstrip(quotes).startswith(("{", "["))
            is_list = re.search(rf"[{quotes}]\s*[,;:=\n]\s*[{quotes}]", inner)
            return inner if is_json or not is_list else text
    return text


def is_empty(text: str) -> bool:
    """Whether there is nothing in a text but quotes and what nobody sees."""
    return not visible_text(text, {}).strip("\"'`,; \n\t")


def date_ms(text: str) -> float | None:
    """The milliseconds since the epoch that a text stands for: a number, or an ISO date (UTC if it has no
    zone). None if it is neither.
    """
    from datetime import UTC, datetime

    try:
        return float(text)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, OverflowError):
        return None


def _without_name(name: str, text: str) -> str:
    base = re.sub(r"_\d+\Z", "", name)
    names = "|".join(map(re.escape, dict.fromkeys((name, base, *_KIN.get(base, ())))))
    pattern = rf"(?:export\s+|set\s+|\$env:|\$)?([\"']?)(?:{names})\1\s*(?:=|:(?!/))\s*(?=\S)"
    found = re.match(pattern, text)
    return text[found.end() :] if found else text


def _without_bearer(name: str, text: str) -> str:
    if "KEY" not in name and not name.startswith("QWEN_CLI_AUTH"):
        return text
    found = _BEARER.match(text)
    return text[found.end() :] if found else text
