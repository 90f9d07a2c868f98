"""Which login wins: the secret's or KV's; and what a corrupt or foreign record does."""

import asyncio
import json

import pytest

from qwen_worker.credentials.store import RECORD_KEY
from tests.support.clock import START_MS, virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, LIFETIME_SECONDS, TokenEndpoint, login_json

OLD = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}
NEW_LOGIN = login_json(access="access-new-0", refresh="new-0")
NEW = {"QWEN_CLI_AUTH": NEW_LOGIN}


@virtual
async def test_a_new_secret_is_used_by_the_next_request_though_kv_holds_the_old_login() -> None:
    isolate = Isolate(OLD, kv=MemoryKV())
    assert (await isolate.acquire()).secret == "access-refresh-1"
    isolate.configure(NEW)
    assert (await isolate.acquire()).secret == "access-new-0"


@virtual
async def test_a_new_secret_is_used_by_a_new_isolate_though_kv_holds_the_old_login() -> None:
    kv = MemoryKV()
    await Isolate(OLD, kv=kv).acquire()
    assert kv.record["refresh_token"] == "refresh-1"
    assert (await Isolate(NEW, kv=kv).acquire()).secret == "access-new-0"


@virtual
async def test_kv_wins_for_the_secret_that_its_record_descends_from() -> None:
    kv = MemoryKV()
    await Isolate(OLD, kv=kv).acquire()
    reformatted = json.dumps(json.loads(OLD["QWEN_CLI_AUTH"]), indent=4)
    assert (await Isolate({"QWEN_CLI_AUTH": reformatted}, kv=kv).acquire()).secret == "access-refresh-1"


@virtual
async def test_the_new_logins_refresh_replaces_the_old_record() -> None:
    kv = MemoryKV()
    await Isolate(OLD, kv=kv).acquire()
    new = Isolate(NEW, kv=kv, endpoint=TokenEndpoint("new-0"))
    await new.acquire()
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await new.acquire()).secret == "access-new-1"
    assert kv.record["refresh_token"] == "new-1"


@virtual
async def test_an_old_isolate_does_not_overwrite_the_new_logins_record() -> None:
    kv = MemoryKV()
    old = Isolate({"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}, kv=kv)
    await old.acquire()
    new = Isolate(
        {"QWEN_CLI_AUTH": login_json(access="access-new-0", refresh="new-0", expires_in_seconds=-5)},
        kv=kv,
        endpoint=TokenEndpoint("new-0"),
    )
    await asyncio.sleep(HOUR)
    await new.acquire()
    assert kv.record["refresh_token"] == "new-1"
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await old.acquire()).secret == "access-refresh-2"
    assert kv.record["refresh_token"] == "new-1"
    assert "another login has taken over the record" in old.events("warning")


@virtual
async def test_the_new_login_survives_its_record_being_overwritten_by_an_old_isolate() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint("new-0")
    env = {"QWEN_CLI_AUTH": login_json(access="access-new-0", refresh="new-0", expires_in_seconds=-5)}
    await Isolate(env, kv=kv, endpoint=endpoint).acquire()
    kv.values[RECORD_KEY] = json.dumps(
        {"access_token": "access-old", "refresh_token": "old", "secret_fingerprint": "another secret's"}
    )
    assert (await Isolate(env, kv=kv, endpoint=endpoint).acquire()).secret == "access-new-1"


@virtual
async def test_the_predecessors_record_is_kept_when_it_is_newer_than_the_secret() -> None:
    kv = MemoryKV({RECORD_KEY: login_json(access="access-refresh-7", refresh="refresh-7")})
    isolate = Isolate(OLD, kv=kv, endpoint=TokenEndpoint("refresh-7"))
    assert (await isolate.acquire()).secret == "access-refresh-7"
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await isolate.acquire()).secret == "access-refresh-8"
    assert (await Isolate(OLD, kv=kv).acquire()).secret == "access-refresh-8"


@virtual
async def test_a_secret_newer_than_the_predecessors_record_wins() -> None:
    kv = MemoryKV({RECORD_KEY: login_json(expires_in_seconds=HOUR)})
    assert (await Isolate(NEW, kv=kv).acquire()).secret == "access-new-0"


@pytest.mark.parametrize("record_expired_before_seconds", [20, 5])
@pytest.mark.parametrize("live", ["refresh-7", "new-0"])
def test_if_the_predecessors_record_and_the_secret_cannot_be_told_apart_the_live_one_is_found(
    live: str, record_expired_before_seconds: int
) -> None:
    @virtual
    async def story() -> None:
        record = login_json(
            access="access-refresh-7",
            refresh="refresh-7",
            expires_in_seconds=-record_expired_before_seconds,
        )
        env = {"QWEN_CLI_AUTH": login_json(access="access-new-0", refresh="new-0", expires_in_seconds=-10)}
        isolate = Isolate(env, kv=MemoryKV({RECORD_KEY: record}), endpoint=TokenEndpoint(live))
        assert (await isolate.acquire()).secret in ("access-refresh-8", "access-new-1")
        assert isolate.endpoint.refused <= 1

    story()


@virtual
async def test_a_secret_wins_over_a_login_that_was_kept_by_kv_alone() -> None:
    kv = MemoryKV({RECORD_KEY: login_json(expires_in_seconds=-10)})
    await Isolate({}, kv=kv).acquire()
    assert kv.record["refresh_token"] == "refresh-1"
    assert (await Isolate(NEW, kv=kv).acquire()).secret == "access-new-0"


@virtual
async def test_a_secret_that_was_unreadable_for_a_while_does_not_replace_its_own_record() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    await Isolate(OLD, kv=kv, endpoint=endpoint).acquire()
    await asyncio.sleep(LIFETIME_SECONDS)
    await Isolate({"QWEN_CLI_AUTH": "{truncated"}, kv=kv, endpoint=endpoint).acquire()
    assert (await Isolate(OLD, kv=kv, endpoint=endpoint).acquire()).secret == "access-refresh-2"
    assert endpoint.refused == 0


@pytest.mark.parametrize("value", ["", "corrupt-secret-text", '{"access_token": 7}', "[1]"])
def test_a_corrupt_record_falls_back_to_the_secret_and_is_replaced(value: str) -> None:
    @virtual
    async def story() -> None:
        kv = MemoryKV({RECORD_KEY: value})
        isolate = Isolate(kv=kv)
        assert (await isolate.acquire()).secret == "access-refresh-0"
        await isolate.background.finished()
        assert kv.record["refresh_token"] == "refresh-0"
        assert "stored login is corrupt" in isolate.events("warning")
        assert "corrupt-secret-text" not in json.dumps(isolate.lines)

    story()


@virtual
async def test_a_corrupt_record_is_replaced_by_the_refresh_when_the_secrets_token_has_expired() -> None:
    kv = MemoryKV({RECORD_KEY: "{"})
    isolate = Isolate(OLD, kv=kv)
    assert (await isolate.acquire()).secret == "access-refresh-1"
    assert kv.record["refresh_token"] == "refresh-1"


@virtual
async def test_a_corrupt_record_is_not_replaced_by_the_secret_once_another_isolate_has_done_better() -> None:
    kv = MemoryKV({RECORD_KEY: "{"})
    isolate = Isolate(kv=kv)
    await isolate.acquire()
    better = {
        "access_token": "access-refresh-5",
        "refresh_token": "refresh-5",
        "expiry_date": START_MS + 10 * HOUR * 1000,
        "refreshed_at": START_MS + 4 * HOUR * 1000,
    }
    kv.values[RECORD_KEY] = json.dumps(better)
    await isolate.background.finished()
    assert kv.record["refresh_token"] == "refresh-5"
