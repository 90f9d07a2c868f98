"""Accounts that a variable describes in JSON, several of them, or broken ones.

An object may have these members besides the secret, all optional: `base_url`, `models` (an array of the only
models that the account serves), `label` (its name in the log and on /health; default: the variable's name),
`priority` (a whole number, lower ones are used first), `responses` and `messages` ("native" or "bridged":
whether the host is asked in the words of these APIs, or through chat completions).

An account is known by its secret, not by its place among the variables: if accounts are added, removed or
reordered, none gets the KV record or the cooldown of another one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from qwen_worker.config.account import DEFAULT_PRIORITIES, KV_ACCOUNT, AccountSettings, Kind, Way
from qwen_worker.config.labels import LABEL_RULE, is_label
from qwen_worker.config.login import CredentialFormatError, oauth_token_from
from qwen_worker.config.members import (
    EXPECTED,
    Malformed,
    base_url_of,
    key_of,
    models_of,
    read_variable,
    remarks_on,
)
from qwen_worker.fingerprint import fingerprint


class Report(Protocol):
    """Takes what is wrong with a variable."""

    def __call__(self, variable: str, expected: str, *, fatal: bool) -> None:
        """`expected` never holds the value."""
        ...


Mended = Callable[[str, list[str]], None]
"""Takes what was mended in a variable, in words; there may be nothing."""


def described_accounts(
    given: Mapping[str, str], report: Report, mended: Mended
) -> tuple[AccountSettings, ...]:
    """The accounts that `read_accounts` returns. `given` holds the variables that are set, those of logins
    first.
    """
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
                value, what = read_variable(text, kind)
                self._mended(name, what)
                self._add_all(name, kind, value)
            except Malformed as problem:
                self._problems.append((name, problem.expected))

    def _add_all(self, variable: str, kind: Kind, value: Any) -> None:
        if not isinstance(value, list):
            self._add(variable, kind, 0, value)
            return
        if not value:
            raise Malformed("", EXPECTED[kind])
        for item, member in enumerate(value, start=1):
            self._add(variable, kind, item, member)

    def _add(self, variable: str, kind: Kind, item: int, value: Any) -> None:
        """Adds the account that `value` describes. `item` counts from 1 in an array; 0: there is none."""
        try:
            account = self._account(variable, kind, item, value)
            for other in self.accounts:
                if other.identity == account.identity:
                    raise Malformed("", f"another account than {other.label}")
        except (Malformed, CredentialFormatError) as problem:
            member = problem.member if isinstance(problem, Malformed) else problem.field
            self._report(variable, item, member, problem.expected)
            return
        self.accounts.append(account)

    def _account(self, variable: str, kind: Kind, item: int, value: Any) -> AccountSettings:
        """Raises Malformed or CredentialFormatError."""
        members = value if isinstance(value, dict) else {}
        where = _place(variable, item, "")
        base_url, what = base_url_of(members)
        self._mended(_place(variable, item, "base_url"), what)
        account = AccountSettings(
            kind,
            self._label(variable, item, members),
            "",
            self._priority(variable, kind, item, members),
            models_of(members),
            base_url,
            responses=self._way(variable, item, members, "responses") or "bridged",
            messages=self._way(variable, item, members, "messages"),
            completions=self._way(variable, item, members, "completions"),
        )
        if kind == "oauth":
            login = oauth_token_from(value)
            self._mended(where, remarks_on(members, login))
            identity = fingerprint(login.access_token, login.refresh_token or "")
            is_first = variable == "QWEN_CLI_AUTH" and item <= 1
            return account._replace(login=login, identity=identity, is_main_login=is_first)
        key, what = key_of(members, value)
        self._mended(where, what)
        return account._replace(api_key=key, identity=fingerprint(key, base_url or ""))

    def _label(self, variable: str, item: int, members: dict[str, Any]) -> str:
        default = f"{variable}.{item}" if item > 1 else variable
        label = members.get("label")
        if label is None:
            return default
        if not isinstance(label, str) or not is_label(label):
            self._report(variable, item, "label", LABEL_RULE)
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

    def _way(self, variable: str, item: int, members: dict[str, Any], api: str) -> Way | None:
        way = members.get(api)
        if way == "native" or way == "bridged" or way is None:
            return way
        self._report(variable, item, api, '"native" or "bridged"')
        return None

    def _report(self, variable: str, item: int, member: str, expected: str) -> None:
        self._problems.append((_place(variable, item, member), expected))


def _place(variable: str, item: int, member: str) -> str:
    """`QWEN_API_KEY (item 2, label)`."""
    where = ", ".join(filter(None, (f"item {item}" if item else "", member)))
    return f"{variable} ({where})" if where else variable
