"""Accounts as the variables describe them, and what becomes of those that cannot be used."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.accounts.pool import record_key
from qwen_worker.config.account import AccountSettings
from qwen_worker.config.accounts import read_accounts
from qwen_worker.credentials.store import RECORD_KEY


class Reading:
    """One reading of some variables."""

    def __init__(self, variables: Mapping[str, str] | None = None, /, **more: str) -> None:
        self.problems: list[tuple[str, bool]] = []
        self.expected: list[str] = []
        self.mended: list[tuple[str, str]] = []
        self.accounts = read_accounts({**(variables or {}), **more}.get, self._report, self._mended)

    def _report(self, variable: str, expected: str, *, fatal: bool) -> None:
        self.problems.append((variable, fatal))
        self.expected.append(expected)

    def _mended(self, variable: str, what: Sequence[str]) -> None:
        self.mended += [(variable, words) for words in what]

    @property
    def labels(self) -> list[str]:
        return [account.label for account in self.accounts]

    def account(self, label: str) -> AccountSettings:
        [found] = [account for account in self.accounts if account.label == label]
        return found


def login(name: str, **members: Any) -> dict[str, Any]:
    return {"access_token": f"access-{name}", "refresh_token": f"refresh-{name}", **members}


def text(*values: Any) -> str:
    return json.dumps(values[0] if len(values) == 1 else values)


def test_every_variable_holds_one_account_or_an_array_of_them() -> None:
    reading = Reading(
        QWEN_CLI_AUTH=text(login("a"), login("b")),
        QWEN_CLI_AUTH_3=text(login("c")),
        QWEN_API_KEY="key-1",
        QWEN_API_KEY_2='["key-2", {"api_key": "key-3"}]',
        QWEN_API_KEY_20='{"api_key": "key-4"}',
    )
    assert reading.labels == [
        "QWEN_CLI_AUTH",
        "QWEN_CLI_AUTH.2",
        "QWEN_CLI_AUTH_3",
        "QWEN_API_KEY",
        "QWEN_API_KEY_2",
        "QWEN_API_KEY_2.2",
        "QWEN_API_KEY_20",
    ]
    assert [account.api_key for account in reading.accounts[3:]] == ["key-1", "key-2", "key-3", "key-4"]
    assert [account.login.access_token for account in reading.accounts[:3] if account.login] == [
        "access-a",
        "access-b",
        "access-c",
    ]
    assert reading.problems == []


def test_members_besides_the_secret() -> None:
    members = {
        "base_url": "https://example.com/v1/",
        "models": ["qwen3-max", " qwen3-coder-plus "],
        "label": "plan",
        "priority": -1,
    }
    reading = Reading(
        QWEN_API_KEY=text({"api_key": "key-1", **members}),
        QWEN_CLI_AUTH=text(login("a", **{**members, "label": "work"})),
    )
    for label in ("plan", "work"):
        account = reading.account(label)
        assert account.base_url == "https://example.com/v1"
        assert account.models == ("qwen3-max", "qwen3-coder-plus")
        assert account.priority == -1


@pytest.mark.parametrize(("members", "first"), [({}, "QWEN_API_KEY"), ({"priority": 9}, "QWEN_CLI_AUTH")])
def test_keys_come_first_unless_a_priority_says_otherwise(members: dict[str, Any], first: str) -> None:
    reading = Reading(QWEN_CLI_AUTH=text(login("a", **members)), QWEN_API_KEY="key-1")
    assert min(reading.accounts, key=lambda account: account.priority).label == first


@pytest.mark.parametrize(
    ("variable", "value", "where"),
    [
        ("QWEN_CLI_AUTH_2", "not json", "QWEN_CLI_AUTH_2"),
        ("QWEN_CLI_AUTH_2", "[]", "QWEN_CLI_AUTH_2"),
        ("QWEN_CLI_AUTH_2", text({"refresh_token": "x"}), "QWEN_CLI_AUTH_2 (access_token)"),
        ("QWEN_CLI_AUTH_2", text(login("b"), 5), "QWEN_CLI_AUTH_2 (item 2)"),
        ("QWEN_CLI_AUTH_2", text(login("b", base_url="ftp://x")), "QWEN_CLI_AUTH_2 (base_url)"),
        ("QWEN_API_KEY_2", "{broken", "QWEN_API_KEY_2"),
        ("QWEN_API_KEY_2", "pasted\u2026key", "QWEN_API_KEY_2"),
        ("QWEN_API_KEY_2", '{"key": "key-2"}', "QWEN_API_KEY_2 (api_key)"),
        ("QWEN_API_KEY_2", text({"api_key": "key-2", "base_url": "host"}), "QWEN_API_KEY_2 (base_url)"),
        ("QWEN_API_KEY_2", text({"api_key": "key-2", "models": "qwen"}), "QWEN_API_KEY_2 (models)"),
        ("QWEN_API_KEY_2", text({"api_key": "key-2", "models": [""]}), "QWEN_API_KEY_2 (models)"),
        ("QWEN_API_KEY_2", "key-1", "QWEN_API_KEY_2"),
        ("QWEN_CLI_AUTH", text(login("a"), login("a")), "QWEN_CLI_AUTH (item 2)"),
    ],
)
def test_an_account_that_cannot_be_used_is_named_and_does_not_stop_the_others(
    variable: str, value: str, where: str
) -> None:
    reading = Reading({"QWEN_CLI_AUTH": text(login("a")), "QWEN_API_KEY": "key-1", variable: value})
    assert reading.problems == [(where, False)]
    assert {"QWEN_CLI_AUTH", "QWEN_API_KEY"} <= set(reading.labels)
    assert not any(secret in reading.expected[0] for secret in ("access-", "refresh-", "key-1", "key-2"))


@pytest.mark.parametrize("label", [5, "", "two words", "x" * 41, "\u00fcber", "key-label", "line\nbreak"])
def test_a_label_that_cannot_be_used_gives_way_to_the_variables_name(label: Any) -> None:
    reading = Reading(
        QWEN_API_KEY=text({"api_key": "key-1", "label": "key-label"}),
        QWEN_API_KEY_2=text({"api_key": "key-2", "label": label}),
    )
    assert reading.labels == ["key-label", "QWEN_API_KEY_2"]
    assert reading.problems == [("QWEN_API_KEY_2 (label)", False)]


@pytest.mark.parametrize("priority", ["1", 1.5, True, 10**9])
def test_a_priority_that_cannot_be_used_gives_way_to_the_default(priority: Any) -> None:
    reading = Reading(QWEN_API_KEY=text({"api_key": "key-1", "priority": priority}))
    assert reading.accounts[0].priority == Reading(QWEN_API_KEY="key-1").accounts[0].priority
    assert reading.problems == [("QWEN_API_KEY (priority)", False)]


@pytest.mark.parametrize("api", ["responses", "messages", "completions"])
def test_how_a_host_is_asked(api: str) -> None:
    default = Reading(QWEN_API_KEY="key-1").accounts[0]
    assert (default.responses, default.messages, default.completions) == ("bridged", None, None)
    for way in ("native", "bridged"):
        [account] = Reading(QWEN_API_KEY=text({"api_key": "key-1", api: way})).accounts
        assert getattr(account, api) == way


@pytest.mark.parametrize("api", ["responses", "messages", "completions"])
@pytest.mark.parametrize("way", ["Native", "", True, 1, ["native"], {}])
def test_an_unknown_way_to_ask_leaves_the_default_and_is_named(api: str, way: Any) -> None:
    reading = Reading(QWEN_API_KEY=text({"api_key": "key-1", api: way}))
    default = Reading(QWEN_API_KEY="key-1").accounts[0]
    assert getattr(reading.accounts[0], api) == getattr(default, api)
    assert reading.problems == [(f"QWEN_API_KEY ({api})", False)]


def test_a_broken_key_is_fatal_only_if_there_is_no_other_account() -> None:
    assert Reading(QWEN_API_KEY="pasted\u2026key").problems == [("QWEN_API_KEY", True)]
    assert Reading(QWEN_API_KEY="\u2026", QWEN_API_KEY_2="key-2").problems == [("QWEN_API_KEY", False)]
    assert Reading(QWEN_CLI_AUTH="broken").problems == [("QWEN_CLI_AUTH", False)]


@pytest.mark.parametrize(
    ("variables", "labels"),
    [
        ({}, ["QWEN_KV"]),
        ({"QWEN_CLI_AUTH": "broken"}, ["QWEN_KV"]),
        ({"QWEN_API_KEY": "key-1"}, ["QWEN_API_KEY"]),
        ({"QWEN_CLI_AUTH_2": text(login("a"))}, ["QWEN_CLI_AUTH_2"]),
    ],
)
def test_without_any_account_a_login_may_live_in_kv_alone(
    variables: dict[str, str], labels: list[str]
) -> None:
    assert Reading(variables).labels == labels


def test_no_arrangement_gives_an_account_the_record_or_the_cooldowns_of_another() -> None:
    """Wherever a login stands, its identity is the same, its record's key its own or the first place's."""
    names = ("a", "b", "c")
    arrangements: list[dict[str, str]] = []
    for count in (1, 2, 3):
        for order in itertools.permutations(names, count):
            arrangements.append({"QWEN_CLI_AUTH": json.dumps([login(name) for name in order])})
            variables = ("QWEN_CLI_AUTH", "QWEN_CLI_AUTH_2", "QWEN_CLI_AUTH_3")
            arrangements.append(dict(zip(variables, (text(login(n)) for n in order), strict=False)))
            arrangements.append(dict(zip(variables[1:], (text(login(n)) for n in order[:2]), strict=False)))
    owner: dict[str, str] = {}
    identity: dict[str, str] = {}
    for variables_set in arrangements:
        accounts = Reading(variables_set).accounts
        assert len({record_key(account) for account in accounts}) == len(accounts)
        for account in accounts:
            assert account.login is not None
            name = account.login.access_token
            assert identity.setdefault(name, account.identity) == account.identity
            if record_key(account) != RECORD_KEY:
                assert owner.setdefault(record_key(account), name) == name
    assert len(set(identity.values())) == 3


def test_the_first_login_keeps_the_predecessors_record() -> None:
    reading = Reading(QWEN_CLI_AUTH=text(login("a"), login("b")), QWEN_CLI_AUTH_2=text(login("c")))
    assert [record_key(account) == RECORD_KEY for account in reading.accounts] == [True, False, False]


def test_the_same_key_at_another_host_is_another_account() -> None:
    keys = [{"api_key": "key-1"}, {"api_key": "key-1", "base_url": "https://example.com/v1"}]
    assert len(Reading(QWEN_API_KEY=json.dumps(keys)).accounts) == 2


def test_an_account_does_not_show_its_secret() -> None:
    accounts = Reading(QWEN_CLI_AUTH=text(login("a")), QWEN_API_KEY="key-1").accounts
    assert not any(secret in repr(accounts) for secret in ("access-a", "refresh-a", "key-1"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["api_key", "access_token", "refresh_token", "base_url", "models", "label", "priority"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.sampled_from(["QWEN_CLI_AUTH", "QWEN_API_KEY_2"]), json_values.map(json.dumps) | st.text(max_size=20)
)
def test_no_value_makes_reading_fail(variable: str, value: str) -> None:
    if value.strip():
        reading = Reading({variable: value})
        assert reading.accounts or reading.problems
        assert len({account.label for account in reading.accounts}) == len(reading.accounts)
