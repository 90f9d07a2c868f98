import pytest

from qwen_worker.auth import identify
from qwen_worker.config.client_keys import ADMIN, ANYONE, ClientKey
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


def who(headers: dict[str, str], *keys: ClientKey, admin: str | None = "admin-key") -> ClientKey:
    return identify(ScriptedRequest(headers=headers), keys, admin, now_ms=lambda: 1_000)


def test_the_key_says_whose_request_it_is() -> None:
    alice, bob = ClientKey("key-1", "alice"), ClientKey("key-2", "bob")
    assert who({"x-api-key": "key-2"}, alice, bob) is bob
    assert who({"authorization": "Bearer key-1"}, alice, bob) is alice
    assert who({"authorization": "Bearer admin-key"}, alice, bob) is ADMIN


def test_in_an_open_gateway_only_the_admin_is_known() -> None:
    assert who({"authorization": "Bearer whatever"}) is ANYONE
    assert who({}) is ANYONE
    assert who({"authorization": "Bearer admin-key"}) is ADMIN
    assert who({"authorization": "Bearer admin-key"}, admin=None) is ANYONE


def test_the_admin_key_opens_nothing_to_others() -> None:
    with pytest.raises(InvalidApiKey):
        who({"authorization": "Bearer wrong"}, ClientKey("key-1"))


@pytest.mark.parametrize(("expires_ms", "passes"), [(1_001, True), (1_000, False), (1, False), (None, True)])
def test_an_expired_key_is_told_so(expires_ms: int | None, passes: bool) -> None:
    key = ClientKey("key-1", expires_ms=expires_ms)
    if passes:
        assert who({"x-api-key": "key-1"}, key) is key
    else:
        with pytest.raises(InvalidApiKey, match="expired"):
            who({"x-api-key": "key-1"}, key)


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
