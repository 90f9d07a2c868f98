"""Client keys with names and limits."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qwen_worker.config.client_keys import ClientKey
from qwen_worker.config.settings import Settings

ALICE, BOB = ClientKey("key-1", "alice"), ClientKey("key-2", "bob")


def read(value: str, **variables: str) -> Settings:
    return Settings.from_env({"CLIENT_KEYS": value, **variables})


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("key-1,key-2", (ClientKey("key-1"), ClientKey("key-2"))),
        ("alice=key-1, bob=key-2", (ALICE, BOB)),
        ("alice = key-1 ; bob=key-2\n", (ALICE, BOB)),
        ("alice=key-1\nbob=key-2", (ALICE, BOB)),
        ("alice=key-1,key-2", (ALICE, ClientKey("key-2"))),
        ("alice=Bearer key-1, bob='key-2'", (ALICE, BOB)),
        ("CLIENT_KEYS=alice=key-1,bob=key-2", (ALICE, BOB)),
        ('"alice=key-1","bob=key-2"', (ALICE, BOB)),
        ("c2VjcmV0cw==", (ClientKey("c2VjcmV0cw=="),)),
        ("c2VjcmV0cw=,alice=key-1", (ClientKey("c2VjcmV0cw="), ALICE)),
        ("alice=c2VjcmV0cw==", (ClientKey("c2VjcmV0cw==", "alice"),)),
        ('["alice=key-1", "bob=key-2"]', (ALICE, BOB)),
        ('[{"key": "key-1", "label": "alice"}, {"label": "bob", "key": " key-2 "}]', (ALICE, BOB)),
        ('[{"key": "key-1", "label": "alice"},]', (ALICE,)),
        ('{"key": "key-1", "label": "alice"}', (ALICE,)),
        (
            '[{"key": "k", "models": ["qwen3-*"], "tokens_per_day": 5, "requests_per_minute": 6, '
            '"expires": "1970-01-02"}, "key-2"]',
            (ClientKey("k", "", ("qwen3-*",), 5, 6, 86_400_000), ClientKey("key-2")),
        ),
        ('[{"key": "k", "expires": "1970-01-01T01:00:00+01:00"}]', (ClientKey("k", expires_ms=0),)),
        ("a=key-1,b=key-2,a=key-3", tuple(map(ClientKey, ("key-1", "key-2", "key-3"), "aba"))),
    ],
)
def test_keys_are_read_in_every_form(value: str, keys: tuple[ClientKey, ...]) -> None:
    settings = read(value)
    assert settings.problems == ()
    assert settings.client_keys == keys


@pytest.mark.parametrize(
    ("described", "where", "words"),
    [
        ({"key": "k", "label": "no spaces"}, "label", "letters"),
        ({"key": "k", "label": "l" * 41}, "label", "40"),
        ({"key": "k", "models": "qwen3-*"}, "models", "array"),
        ({"key": "k", "tokens_per_day": "many"}, "tokens_per_day", "whole number"),
        ({"key": "k", "tokens_per_day": 0}, "tokens_per_day", "from 1"),
        ({"key": "k", "tokens_per_day": True}, "tokens_per_day", "whole number"),
        ({"key": "k", "requests_per_minute": 1.5}, "requests_per_minute", "whole number"),
        ({"key": "k", "expires": "tomorrow"}, "expires", "2027-01-31"),
        ({"key": "k", "expires": 1_800_000_000}, "expires", "2027-01-31"),
        ({"key": "k", "token_per_day": 5}, "", "tokens_per_day"),
        ({"key": ""}, "key", "a key"),
        ({"label": "alice"}, "key", "a key"),
        (["k"], "", "a key"),
        ({"key": "good-key"}, "key", "another key"),
    ],
)
def test_a_key_that_is_described_wrongly_is_left_out(described: Any, where: str, words: str) -> None:
    settings = read(json.dumps(["good-key", described]))

    assert [client.key for client in settings.client_keys] == ["good-key"]
    assert settings.fatal_problem is None
    [problem] = settings.problems
    assert problem.variable == f"CLIENT_KEYS (item 2{', ' if where else ''}{where})"
    assert words in problem.expected


@pytest.mark.parametrize("value", ['[{"key": "k", "tokens_per_day": -1}]', "[[]]", '[{"keys": "k"}]', "[5]"])
def test_a_list_of_wrong_keys_alone_does_not_open_the_gateway(value: str) -> None:
    assert read(value).fatal_problem is not None


def test_a_key_without_a_name_is_called_by_its_hash() -> None:
    assert ClientKey("a").label == "key-ca97"  # echo -n a | sha256sum
    assert "secret-key" not in repr(ClientKey("secret-key"))


@pytest.mark.parametrize(
    ("patterns", "model", "may"),
    [
        ((), "anything", True),
        (("qwen3-*",), "qwen3-coder-plus", True),
        (("qwen3-*",), "qwen-max", False),
        (("qwen3-*",), "xqwen3-max", False),
        (("qwen3.8",), "qwen3x8", False),
        (("*-plus", "qwen-max"), "qwen-max", True),
        (("Qwen/*",), "Qwen/Qwen3-Coder", True),
        (("*",), "line\nend", True),
    ],
)
def test_patterns_of_models(patterns: tuple[str, ...], model: str, may: bool) -> None:
    assert ClientKey("k", models=patterns).may_use(model) is may


def test_an_admin_key_that_clients_have_is_refused() -> None:
    assert read("alice=key-1", ADMIN_KEY="key-2").fatal_problem is None
    problem = read("alice=key-1", ADMIN_KEY="key-1").fatal_problem
    assert problem is not None
    assert problem.variable == "ADMIN_KEY"


def test_every_key_is_a_secret() -> None:
    assert {"key-1", "key-2", "key-3"} <= set(read("alice=key-1,key-2", ADMIN_KEY="key-3").secrets)


_labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", fullmatch=True)
_keys = st.from_regex(r"[A-Za-z0-9_-]{8,40}={0,2}", fullmatch=True).filter(
    lambda key: not key.startswith(("CLIENT_", "OPENAI_", "DEFAULT_", "QWEN_", "MODEL_", "DASHSCOPE_"))
)


@hypothesis_settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.just(""), _labels), _keys), min_size=1, max_size=6, unique_by=lambda k: k[1]
    )
)
def test_pairs_and_json_mean_the_same(pairs: list[tuple[str, str]]) -> None:
    expected = tuple(ClientKey(key, label) for label, key in pairs)
    text = ",".join(f"{label}={key}" if label else key for label, key in pairs)
    described = [{"key": key, **({"label": label} if label else {})} for label, key in pairs]

    assert read(text).client_keys == expected
    assert read(json.dumps(described)).client_keys == expected


@hypothesis_settings(deadline=None)
@given(st.text(alphabet="ab=\"'`,;[]{}: \n\t\0key{}1", min_size=1, max_size=24))
def test_no_list_opens_the_gateway(value: str) -> None:
    settings = read(value)
    assert settings.client_keys or settings.fatal_problem or not value.strip()
    assert all(client.key.strip() for client in settings.client_keys)


@pytest.mark.parametrize(
    ("value", "is_good"),
    [
        ('{"m": {"input": 1, "output": 5.5}}', True),
        ('{"m": {"input": 1, "cached": 0, "output": 5}}', True),
        ('{"m": {"input": 1}}', False),
        ('{"m": {"input": -1, "output": 5}}', False),
        ('{"m": {"input": "1", "output": 5}}', False),
        ('{"m": {"input": 1, "output": 5, "thinking": 1}}', False),
        ('{"m": 5}', False),
        ("[]", False),
        ("1.5", False),
    ],
)
def test_prices(value: str, is_good: bool) -> None:
    settings = read("key-1", PRICES=value)
    assert bool(settings.prices) is is_good
    assert [problem.variable for problem in settings.problems] == ([] if is_good else ["PRICES"])
    if is_good:
        assert settings.prices["m"].cached in (0, settings.prices["m"].input)
