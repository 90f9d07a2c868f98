"""JSON as people paste it: escaped, in base64, with curly quotes, in an object of another program.

Nothing here is loaded unless JSON cannot be read as it is, or does not hold what it should.
"""

import json
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from typing import Any

from qwen_worker.config.account import Kind
from qwen_worker.config.pasted import mended_text
from qwen_worker.json_text import nesting_exceeds

BARE_TOKEN = "only an access token: it can be used until it expires, and not be renewed"  # noqa: S105
OTHER_NAMES = "other names of its members"
WRAPPED = "an object around it"

_CURLY_QUOTES = re.compile("[\u201c\u201d\u201e\u201f\u00ab\u00bb]")
_COMMA_TOO_MANY = re.compile(r",(\s*[}\]])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{16,}={0,2}\s*", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{20,}", re.ASCII)
_NAMES = {
    "accessToken": "access_token",
    "refreshToken": "refresh_token",
    "tokenType": "token_type",
    "resourceUrl": "resource_url",
    "resourceURL": "resource_url",
    "expiryDate": "expiry_date",
    "expiresAt": "expiry_date",
    "expires_at": "expiry_date",
    "apiKey": "api_key",
    "baseUrl": "base_url",
    "baseURL": "base_url",
}
_BESIDE_THE_SECRET = ("label", "base_url", "models", "priority", "responses", "messages", "completions")
_DEEPEST = 3


def read_json(text: str) -> tuple[Any, list[str]]:
    """The value of a JSON text, and what was mended to read it. Raises ValueError."""
    mended: list[str] = []
    value = _loads(text)
    for what, mend in _MENDERS:
        if value is not None:
            break
        changed = mend(text)
        if changed != text:
            text = changed
            mended.append(what)
            value = _loads(text)
    if value is None:
        raise ValueError
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        inner, more = read_json(value)
        return inner, [*mended, "escapes", *more]
    return value, mended


def read_login(text: str) -> tuple[Any, list[str]]:
    """The login, or the array of logins, that a text stands for, and what was mended. Raises ValueError.

    It is JSON, or the base64 of JSON, or a bare access token.
    """
    try:
        return read_json(text)
    except ValueError:
        pass
    if _BASE64.fullmatch(text):
        inner = _decoded(text)
        if inner[:1] in ("{", "["):
            value, mended = read_json(inner)
            return value, ["base64", *mended]
    if _TOKEN.fullmatch(text):
        return {"access_token": text}, [BARE_TOKEN]
    raise ValueError


def canonical(value: Any, kind: Kind) -> tuple[Any, list[str]]:
    """An account with the names of `oauth_creds.json`, taken out of any object around it, and what was
    mended.
    """
    mended: dict[str, None] = {}
    secret = "access_token" if kind == "oauth" else "api_key"
    return _canonical(value, secret, mended, 0), list(mended)


def _canonical(value: Any, secret: str, mended: dict[str, None], depth: int) -> Any:
    if isinstance(value, list) and depth < _DEEPEST:
        return [_canonical(item, secret, mended, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {_NAMES.get(name, name): member for name, member in value.items() if name in _NAMES}
    if renamed:
        value = {**renamed, **{name: member for name, member in value.items() if name not in _NAMES}}
    if secret in value:
        if renamed:
            mended[OTHER_NAMES] = None
        return value
    for member in value.values() if depth < _DEEPEST else ():
        found = _canonical(_object(member), secret, mended, depth + 1)
        if _holds(found, secret):
            mended[WRAPPED] = None
            if isinstance(found, dict):
                beside = {name: value[name] for name in _BESIDE_THE_SECRET if name in value}
                return {**beside, **found}
            return found
    return value


def _object(member: Any) -> Any:
    """A member that is JSON within a text, as what it stands for."""
    if isinstance(member, str) and member.lstrip()[:1] in ("{", "["):
        try:
            return read_json(member)[0]
        except ValueError:
            return member
    return member


def _holds(found: Any, secret: str) -> bool:
    first = found[0] if isinstance(found, list) and found else found
    return isinstance(first, dict) and secret in first


def _loads(text: str) -> Any:
    """The value; None if it is no JSON. JSON's own `null` is of no use here."""
    if nesting_exceeds(text):
        return None
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return None


def _unescaped(text: str) -> str:
    """The text without one level of backslashes before its quotes."""
    value = _loads(f'"{text}"') if "\\" in text else None
    return value if isinstance(value, str) else text


def _decoded(text: str) -> str:
    """What base64 stands for, without what is odd about it; empty if it is none."""
    compact = "".join(text.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        data = a2b_base64(compact + "=" * (-len(compact) % 4))
    except Base64Error:
        return ""
    return mended_text("", data.decode("utf-8", "replace")).text


_MENDERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("escapes", _unescaped),
    ("curly quotes", lambda text: _CURLY_QUOTES.sub('"', text)),
    ("a comma too many", lambda text: _COMMA_TOO_MANY.sub(r"\1", text)),
    ("single quotes", lambda text: text if '"' in text else text.replace("'", '"')),
    ("a comma too many", lambda text: _COMMA_TOO_MANY.sub(r"\1", text)),
)
"""Each works on the result of those before it."""
