"""Accounts that a variable describes in JSON, several of them, or broken ones.

An object may have these members besides the secret, all optional: `base_url`, `models` (an array of the only
models that the account serves), `label` (its name in the log and on /health; default: the variable's name)
and `priority` (a whole number, lower ones are used first).

An account is known by its secret, not by its place among the variables: whatever is added, removed or put in
another order, no account gets the KV record or the cooldown of another one.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from qwen_worker.config.account import (
    DEFAULT_PRIORITIES,
    KV_ACCOUNT,
    AccountSettings,
    Kind,
    is_bare_key,
)
from qwen_worker.config.login import (
    CredentialFormatError,
    OAuthToken,
    oauth_token_from,
    usable_resource_url,
)
from qwen_worker.config.text import api_key_text, looks_pasted
from qwen_worker.config.urls import base_url_in
from qwen_worker.fingerprint import fingerprint

_label = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII).fullmatch


class Report(Protocol):
    """Takes what is wrong with a variable."""

    def __call__(self, variable: str, expected: str, *, fatal: bool) -> None:
        """`expected` never holds the value."""
        ...


Mended = Callable[[str, list[str]], None]
"""Takes what was mended in a variable, in words; there may be nothing."""

_EXPECTED: dict[Kind, str] = {
    "oauth": "the JSON object of oauth_creds.json, or an array of such objects",
    "api_key": 'a key, {"api_key": "..."}, or an array of such',
}
_SECRET: dict[Kind, str] = {"oauth": "access_token", "api_key": "api_key"}


class _Malformed(ValueError):
    """An account cannot be used. `member` is the culprit's name, or empty."""

    def __init__(self, member: str, expected: str) -> None:
        super().__init__(expected)
        self.member = member
        self.expected = expected


def described_accounts(
    given: Mapping[str, str], report: Report, mended: Mended
) -> tuple[AccountSettings, ...]:
    """What `read_accounts` promises, for the variables that are set, the logins' first."""
    problems: list[tuple[str, str]] = []
    reader = _Reader(given, problems, mended)
    reader.read("oauth")
    login_problems = len(problems)
    reader.read("api_key")
    accounts = reader.accounts
    for index, (variable, expected) in enumerate(problems):
        report(variable, expected, fatal=index >= login_problems and not accounts)
    return tuple(accounts) or (KV_ACCOUNT,)


class _Reader:
    def __init__(self, given: Mapping[str, str], problems: list[tuple[str, str]], mended: Mended) -> None:
        self._given = given
        self._mended = mended
        self._problems = problems
        self.accounts: list[AccountSettings] = []

    def read(self, kind: Kind) -> None:
        variable = "QWEN_CLI_AUTH" if kind == "oauth" else "QWEN_API_KEY"
        for name, text in self._given.items():
            if not name.startswith(variable):
                continue
            try:
                value, what = _parsed(text, kind)
                self._mended(name, what)
                self._add_all(name, kind, value)
            except _Malformed as problem:
                self._problems.append((name, problem.expected))

    def _add_all(self, variable: str, kind: Kind, value: Any) -> None:
        if not isinstance(value, list):
            self._add(variable, kind, 0, value)
            return
        if not value:
            raise _Malformed("", _EXPECTED[kind])
        for item, member in enumerate(value, start=1):
            self._add(variable, kind, item, member)

    def _add(self, variable: str, kind: Kind, item: int, value: Any) -> None:
        """Adds the account that `value` describes. `item` counts from 1 in an array; 0: there is none."""
        try:
            account = self._account(variable, kind, item, value)
            for other in self.accounts:
                if other.identity == account.identity:
                    raise _Malformed("", f"another account than {other.label}")
        except (_Malformed, CredentialFormatError) as problem:
            member = problem.member if isinstance(problem, _Malformed) else problem.field
            self._report(variable, item, member, problem.expected)
            return
        self.accounts.append(account)

    def _account(self, variable: str, kind: Kind, item: int, value: Any) -> AccountSettings:
        """Raises _Malformed or CredentialFormatError."""
        members = value if isinstance(value, dict) else {}
        where = _place(variable, item, "")
        base_url, what = _base_url(members)
        self._mended(_place(variable, item, "base_url"), what)
        account = AccountSettings(
            kind,
            self._label(variable, item, members),
            "",
            self._priority(variable, kind, item, members),
            _models(members),
            base_url,
        )
        if kind == "oauth":
            login = oauth_token_from(value)
            self._mended(where, _remarks(members, login))
            identity = fingerprint(login.access_token, login.refresh_token or "")
            is_first = variable == "QWEN_CLI_AUTH" and item <= 1
            return account._replace(login=login, identity=identity, is_main_login=is_first)
        text, what = _cleaned("QWEN_API_KEY", members.get("api_key") if members else value)
        key = api_key_text(text)
        if key is None:
            raise _Malformed(
                "api_key" if members else "", "a key: printable ASCII text without spaces or commas"
            )
        self._mended(where, what)
        return account._replace(api_key=key, identity=fingerprint(key, base_url or ""))

    def _label(self, variable: str, item: int, members: dict[str, Any]) -> str:
        default = f"{variable}.{item}" if item > 1 else variable
        label = members.get("label")
        if label is None:
            return default
        if not isinstance(label, str) or not _label(label):
            self._report(variable, item, "label", "up to 40 letters, digits, dots, dashes or underscores")
            return default
        if any(other.label == label for other in self.accounts):
            self._report(variable, item, "label", "a label that no other account has")
            return default
        return label

    def _priority(self, variable: str, kind: Kind, item: int, members: dict[str, Any]) -> int:
        default = DEFAULT_PRIORITIES[kind]
        priority = members.get("priority")
        if priority is None:
            return default
        if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > 1_000_000:
            self._report(variable, item, "priority", "a whole number")
            return default
        return priority

    def _report(self, variable: str, item: int, member: str, expected: str) -> None:
        self._problems.append((_place(variable, item, member), expected))


def _place(variable: str, item: int, member: str) -> str:
    """`QWEN_API_KEY (item 2, label)`."""
    where = ", ".join(filter(None, (f"item {item}" if item else "", member)))
    return f"{variable} ({where})" if where else variable


def _parsed(text: str, kind: Kind) -> tuple[Any, list[str]]:
    """What a variable holds, an account or a list of them, and what was mended. Raises _Malformed."""
    if kind == "api_key" and is_bare_key(text):
        return text, []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if value is not None and all(
        _is_plain(item, kind) for item in (value if isinstance(value, list) else [value])
    ):
        return value, []
    from qwen_worker.config.pasted_json import canonical, read_json, read_login

    if kind == "oauth" and text.startswith("sk-"):
        raise _Malformed("", "a login; an API key belongs in QWEN_API_KEY")
    try:
        value, mended = read_login(text) if kind == "oauth" else read_json(text)
    except (ValueError, RecursionError):
        raise _Malformed("", _EXPECTED[kind]) from None
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


def _remarks(members: dict[str, Any], login: OAuthToken) -> list[str]:
    """What of a login was read otherwise than it was written."""
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


def _base_url(members: dict[str, Any]) -> tuple[str | None, list[str]]:
    url = members.get("base_url")
    if url is None:
        return None, []
    text, mended = _cleaned("QWEN_BASE_URL", url)
    found = base_url_in(text)
    if found is None:
        raise _Malformed("base_url", "an absolute http(s) URL without query")
    return found[0], mended + found[1]


def _models(members: dict[str, Any]) -> tuple[str, ...]:
    models = members.get("models")
    if models is None:
        return ()
    if not isinstance(models, list) or not all(isinstance(name, str) and name.strip() for name in models):
        raise _Malformed("models", "an array of model names")
    return tuple(name.strip() for name in models)
