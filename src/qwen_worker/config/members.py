"""Reads the text of an account's variable, and each member of an account."""

from typing import Any

from qwen_worker.config.account import Kind, is_bare_key
from qwen_worker.config.login import OAuthToken, usable_resource_url
from qwen_worker.config.text import api_key_text, looks_pasted
from qwen_worker.config.urls import base_url_in
from qwen_worker.json_text import JsonTextError, parse

EXPECTED: dict[Kind, str] = {
    "oauth": "the JSON object of oauth_creds.json, or an array of such objects",
    "api_key": 'a key, {"api_key": "..."}, or an array of such',
}
_SECRET: dict[Kind, str] = {"oauth": "access_token", "api_key": "api_key"}


class Malformed(ValueError):
    """An account cannot be used. `member` is the culprit's name, or empty."""

    def __init__(self, member: str, expected: str) -> None:
        super().__init__(expected)
        self.member = member
        self.expected = expected


def read_variable(text: str, kind: Kind) -> tuple[Any, list[str]]:
    """What a variable holds, an account or a list of them, and what was mended. Raises Malformed."""
    if kind == "api_key" and is_bare_key(text):
        return text, []
    try:
        value = parse(text)
    except JsonTextError:
        value = None
    if value is not None and all(
        _is_plain(item, kind) for item in (value if isinstance(value, list) else [value])
    ):
        return value, []
    from qwen_worker.config.pasted_json import canonical, read_json, read_login

    if kind == "oauth" and text.startswith("sk-"):
        raise Malformed("", "a login; an API key belongs in QWEN_API_KEY")
    try:
        value, mended = read_login(text) if kind == "oauth" else read_json(text)
    except ValueError:
        raise Malformed("", EXPECTED[kind]) from None
    value, more = canonical(value, kind)
    return value, [*mended, *more]


def _is_plain(value: Any, kind: Kind) -> bool:
    """Whether an account has its secret where it should be, under its usual name."""
    if kind == "api_key" and isinstance(value, str):
        return True
    return isinstance(value, dict) and _SECRET[kind] in value and all(name.islower() for name in value)


def _cleaned(variable: str, value: Any) -> tuple[str, list[str]]:
    """A member without what was pasted around it, and what that was, as if `variable` held it."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or not looks_pasted(variable, text):
        return text, []
    from qwen_worker.config.pasted import mended_text

    text, mended = mended_text(variable, text)
    return text, list(mended)


def key_of(members: dict[str, Any], value: Any) -> tuple[str, list[str]]:
    """The key of an account, and what was mended. `members` is empty where the value is the key itself."""
    text, mended = _cleaned("QWEN_API_KEY", members.get("api_key") if members else value)
    key = api_key_text(text)
    if key is None:
        raise Malformed("api_key" if members else "", "a key: printable ASCII text without spaces or commas")
    return key, mended


def remarks_on(members: dict[str, Any], login: OAuthToken) -> list[str]:
    """What was mended in a login, in words."""
    remarks = []
    expiry = members.get("expiry_date")
    if isinstance(expiry, str) and login.expiry_date_ms is not None:
        remarks.append("`expiry_date` as a text")
    elif isinstance(expiry, int | float) and int(expiry) != login.expiry_date_ms:
        remarks.append("`expiry_date` in seconds")
    tokens = (members.get("access_token"), members.get("refresh_token"))
    if any(given and given not in (login.access_token, login.refresh_token) for given in tokens):
        remarks.append("spaces at the ends of a token")
    if login.resource_url is not None and usable_resource_url(login.resource_url) is None:
        remarks.append("`resource_url` is no address and not used")
    return remarks


def base_url_of(members: dict[str, Any]) -> tuple[str | None, list[str]]:
    """The base URL of an account's own, and what was mended. Raises Malformed."""
    url = members.get("base_url")
    if url is None:
        return None, []
    text, mended = _cleaned("QWEN_BASE_URL", url)
    found = base_url_in(text)
    if found is None:
        raise Malformed("base_url", "an absolute http(s) URL without query")
    return found[0], mended + found[1]


def models_of(members: dict[str, Any]) -> tuple[str, ...]:
    """The only models that an account serves; none: any. Raises Malformed."""
    models = members.get("models")
    if models is None:
        return ()
    if not isinstance(models, list) or not all(isinstance(name, str) and name.strip() for name in models):
        raise Malformed("models", "an array of model names")
    return tuple(name.strip() for name in models)
