"""Accounts that a variable describes in JSON, several of them, or broken ones.

An object may have these members besides the secret, all optional: `base_url`, `models` (an array of the only
models that the account serves), `label` (its name in the log and on /health; default: the variable's name)
and `priority` (a whole number, lower ones are used first).

An account is known by its secret, not by its place among the variables: whatever is added, removed or put in
another order, no account gets the KV record or the cooldown of another one.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from qwen_worker.config.account import (
    DEFAULT_PRIORITIES,
    KV_ACCOUNT,
    AccountSettings,
    Kind,
    is_bare_key,
)
from qwen_worker.config.login import CredentialFormatError, oauth_token_from
from qwen_worker.config.text import is_http_url, printable_text
from qwen_worker.fingerprint import fingerprint

_label = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII).fullmatch


class Report(Protocol):
    """Takes what is wrong with a variable."""

    def __call__(self, variable: str, expected: str, *, fatal: bool) -> None:
        """`expected` never holds the value."""
        ...


class _Malformed(ValueError):
    """An account cannot be used. `member` is the culprit's name, or empty."""

    def __init__(self, member: str, expected: str) -> None:
        super().__init__(expected)
        self.member = member
        self.expected = expected


def described_accounts(given: Mapping[str, str], report: Report) -> tuple[AccountSettings, ...]:
    """What `read_accounts` promises, for the variables that are set, the logins' first."""
    problems: list[tuple[str, str]] = []
    reader = _Reader(given, problems)
    reader.read("oauth")
    login_problems = len(problems)
    reader.read("api_key")
    accounts = reader.accounts
    for index, (variable, expected) in enumerate(problems):
        report(variable, expected, fatal=index >= login_problems and not accounts)
    return tuple(accounts) or (KV_ACCOUNT,)


class _Reader:
    def __init__(self, given: Mapping[str, str], problems: list[tuple[str, str]]) -> None:
        self._given = given
        self._problems = problems
        self.accounts: list[AccountSettings] = []

    def read(self, kind: Kind) -> None:
        variable = "QWEN_CLI_AUTH" if kind == "oauth" else "QWEN_API_KEY"
        for name, text in self._given.items():
            if not name.startswith(variable):
                continue
            try:
                for item, value in _values(text, kind):
                    self._add(name, kind, item, value)
            except _Malformed as problem:
                self._problems.append((name, problem.expected))

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
        base_url = _base_url(members)
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
            identity = fingerprint(login.access_token, login.refresh_token or "")
            is_first = variable == "QWEN_CLI_AUTH" and item <= 1
            return account._replace(login=login, identity=identity, is_main_login=is_first)
        key = printable_text(members.get("api_key") if members else value)
        if key is None:
            raise _Malformed("api_key" if members else "", "printable ASCII text")
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
        where = ", ".join(filter(None, (f"item {item}" if item else "", member)))
        self._problems.append((f"{variable} ({where})" if where else variable, expected))


def _values(text: str, kind: Kind) -> Iterator[tuple[int, Any]]:
    """The accounts in a variable, each with its number in the array, or with 0. Raises _Malformed."""
    if kind == "api_key" and is_bare_key(text):
        yield 0, text
        return
    expected = (
        "the JSON object of oauth_creds.json, or an array of such objects"
        if kind == "oauth"
        else 'a key, {"api_key": "..."}, or an array of such'
    )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _Malformed("", expected) from None
    if not isinstance(value, list):
        yield 0, value
        return
    if not value:
        raise _Malformed("", expected)
    yield from enumerate(value, start=1)


def _base_url(members: dict[str, Any]) -> str | None:
    url = members.get("base_url")
    if url is None:
        return None
    if not isinstance(url, str) or not is_http_url(url.strip()):
        raise _Malformed("base_url", "an absolute http(s) URL without query")
    return url.strip().rstrip("/")


def _models(members: dict[str, Any]) -> tuple[str, ...]:
    models = members.get("models")
    if models is None:
        return ()
    if not isinstance(models, list) or not all(isinstance(name, str) and name.strip() for name in models):
        raise _Malformed("models", "an array of model names")
    return tuple(name.strip() for name in models)
