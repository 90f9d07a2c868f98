import pytest

from qwen_worker.auth import identify
from qwen_worker.config.client_keys import ClientKey
from qwen_worker.errors import InvalidApiKey
from tests.support.ports import ScriptedRequest

KEYS = ("first-client-key", "second-client-key")


def check(headers: dict[str, str], keys: tuple[str, ...] = KEYS) -> None:
    identify(ScriptedRequest(headers=headers), tuple(map(ClientKey, keys)), now_ms=lambda: 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-client-key"},
        {"Authorization": "bearer second-client-key"},
        {"Authorization": "BEARER   first-client-key  "},
        {"x-api-key": "first-client-key"},
        {"api-key": " second-client-key "},
        {"Authorization": "Bearer undefined", "x-api-key": "first-client-key"},
    ],
)
def test_a_known_key_passes(headers: dict[str, str]) -> None:
    check(headers)


def test_without_configured_keys_everyone_passes() -> None:
    check({}, keys=())


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "didn't provide an API key"),
        ({"Authorization": ""}, "malformed"),
        ({"Authorization": "Bearer"}, "malformed"),
        ({"Authorization": "Bearer "}, "malformed"),
        ({"Authorization": "Basic first-client-key"}, "malformed"),
        ({"Authorization": "first-client-key"}, "malformed"),
        ({"Authorization": "Bearer wrong"}, "Incorrect API key"),
        ({"Authorization": "Bearer first-client-ke"}, "Incorrect API key"),
        ({"Authorization": "Bearer first-client-key,second-client-key"}, "Incorrect API key"),
        ({"x-api-key": "wrong"}, "Incorrect API key"),
        ({"Authorization": "Bearer first-client-key\u00e9"}, "Incorrect API key"),
    ],
)
def test_missing_malformed_and_wrong_keys_are_told_apart_and_reveal_nothing(
    headers: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidApiKey) as refusal:
        check(headers)
    assert words in refusal.value.message
    assert not any(key in refusal.value.message for key in KEYS)
    assert refusal.value.status == 401
    assert refusal.value.headers()["www-authenticate"] == "Bearer"
