"""The rotated token is never lost: what happens when KV does not take it at once."""

import asyncio
import json
from itertools import pairwise

import pytest

from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.store import RECORD_KEY
from tests.support.clock import START_MS, virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, LIFETIME_SECONDS, TokenEndpoint, login_json

EXPIRED = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}


@virtual
async def test_kv_holds_the_rotated_token_before_anyone_uses_it() -> None:
    kv = MemoryKV()
    isolate = Isolate(EXPIRED, kv=kv)
    waiting = [asyncio.ensure_future(isolate.acquire()) for _ in range(10)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert kv.record["refresh_token"] == "refresh-1"


@pytest.mark.parametrize("failures", [1, 2, 3, 6])
def test_a_failing_write_is_retried_while_the_request_succeeds(failures: int) -> None:
    @virtual
    async def story() -> None:
        kv = MemoryKV()
        kv.fail_writes = failures
        isolate = Isolate(EXPIRED, kv=kv)
        assert (await isolate.acquire()).secret == "access-refresh-1"
        assert asyncio.get_running_loop().time() < 1
        assert "KV failed" in isolate.events("warning")
        assert (await isolate.describe())["saved"] is False
        await isolate.background.finished()
        assert kv.record["refresh_token"] == "refresh-1"
        assert "token saved" in isolate.events("info")
        assert (await isolate.describe())["saved"] is True
        assert (await Isolate(EXPIRED, kv=kv).acquire()).secret == "access-refresh-1"

    story()


@virtual
async def test_writes_to_one_key_are_more_than_a_second_apart() -> None:
    kv = MemoryKV()
    kv.fail_writes = 4
    attempts: list[float] = []
    put = kv.put

    async def noted(key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        if key == RECORD_KEY:
            attempts.append(asyncio.get_running_loop().time())
        await put(key, value, expiration_ttl_seconds=expiration_ttl_seconds)

    kv.put = noted  # type: ignore[method-assign]
    isolate = Isolate(EXPIRED, kv=kv)
    await isolate.acquire()
    await isolate.background.finished()
    assert len(attempts) >= 2
    assert all(later - earlier > 1 for earlier, later in pairwise(attempts))


@virtual
async def test_an_outage_longer_than_background_work_may_last_is_survived_by_later_requests() -> None:
    kv = MemoryKV()
    kv.fail_writes = float("inf")
    isolate = Isolate(EXPIRED, kv=kv)
    await isolate.acquire()
    await isolate.background.finished()
    assert asyncio.get_running_loop().time() < 31
    assert "token not saved" in isolate.events("error")
    kv.fail_writes = 0
    await asyncio.sleep(600)
    await isolate.acquire()
    await isolate.background.finished()
    assert kv.record["refresh_token"] == "refresh-1"


@virtual
async def test_the_cron_trigger_saves_too() -> None:
    kv = MemoryKV()
    kv.fail_writes = float("inf")
    isolate = Isolate(EXPIRED, kv=kv)
    await isolate.acquire()
    await isolate.background.finished()
    kv.fail_writes = 0
    await isolate.cron()
    assert kv.record["refresh_token"] == "refresh-1"


@virtual
async def test_a_late_write_does_not_replace_a_newer_token() -> None:
    kv = MemoryKV()
    kv.fail_writes = 2
    isolate = Isolate(EXPIRED, kv=kv)
    await isolate.acquire()
    newer = {
        "access_token": "access-refresh-2",
        "refresh_token": "refresh-2",
        "expiry_date": START_MS + 9 * HOUR * 1000,
        "refreshed_at": START_MS + 3 * HOUR * 1000,
    }
    kv.values[RECORD_KEY] = json.dumps(newer)
    await isolate.background.finished()
    assert kv.record["refresh_token"] == "refresh-2"


@virtual
async def test_a_late_write_does_not_replace_the_login_of_a_newer_secret() -> None:
    kv = MemoryKV()
    isolate = Isolate(EXPIRED, kv=kv)
    first = await isolate.acquire()
    await asyncio.sleep(HOUR)
    kv.fail_writes = 2
    assert (await isolate.replace(first)).secret == "access-refresh-2"
    newer = {
        "access_token": "access-new-0",
        "refresh_token": "new-0",
        "secret_fingerprint": "a newer secret's",
    }
    kv.values[RECORD_KEY] = json.dumps(newer)
    await isolate.background.finished()
    assert kv.record["refresh_token"] == "new-0"


@virtual
async def test_while_a_write_is_repeated_requests_start_nothing_of_their_own() -> None:
    kv = MemoryKV()
    kv.fail_writes = float("inf")
    isolate = Isolate(EXPIRED, kv=kv)
    await isolate.acquire()
    await isolate.background.finished()
    await asyncio.sleep(60)
    before = isolate.background.spawned
    await asyncio.gather(*(isolate.acquire() for _ in range(50)))
    assert isolate.background.spawned == before + 1


@virtual
async def test_the_successor_alone_is_enough_for_the_others() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    await Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire()
    del kv.values[RECORD_KEY]
    assert (await Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire()).secret == "access-refresh-1"


@virtual
async def test_while_kv_cannot_be_read_a_fresh_isolate_uses_the_secret_and_looks_again_soon() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    await Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire()
    kv.fail_reads = float("inf")
    env = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=2 * HOUR)}
    isolate = Isolate(env, kv=kv, endpoint=endpoint)
    assert (await isolate.acquire()).secret == "access-refresh-0"
    assert (await isolate.describe())["kv_readable"] is False
    kv.fail_reads = 0
    await asyncio.sleep(20)
    await isolate.acquire()
    await isolate.background.finished()
    assert (await isolate.acquire()).secret == "access-refresh-1"
    assert len(endpoint.requests) == 1


@virtual
async def test_a_kv_that_fails_for_a_moment_does_not_make_a_fresh_isolate_spend_the_secrets_token() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    await Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire()
    kv.fail_reads = 4
    assert (await Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire()).secret == "access-refresh-1"
    assert endpoint.refused == 0


@virtual
async def test_a_kv_that_is_down_altogether_does_not_stop_the_worker() -> None:
    kv = MemoryKV()
    kv.fail_reads = kv.fail_writes = float("inf")
    isolate = Isolate(EXPIRED, kv=kv)
    assert (await isolate.acquire()).secret == "access-refresh-1"
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await isolate.acquire()).secret == "access-refresh-2"


async def unsaved_for_a_minute(kv: MemoryKV) -> tuple[Isolate, Credential]:
    """An isolate whose token KV has not taken, old enough to be refreshed should the API refuse it."""
    kv.fail_writes = float("inf")
    isolate = Isolate(EXPIRED, kv=kv)
    credential = await isolate.acquire()
    await isolate.background.finished()
    await asyncio.sleep(62)
    return isolate, credential


@virtual
async def test_a_token_that_comes_while_kv_is_asked_about_the_one_before_is_not_forgotten() -> None:
    """KV said that the write of the token before failed, but it took effect, so it is not repeated."""
    kv = MemoryKV()
    isolate, first = await unsaved_for_a_minute(kv)
    record = {"access_token": first.secret, "refresh_token": "refresh-1", "refreshed_at": START_MS + 1000}
    kv.values[RECORD_KEY] = json.dumps(record)
    get = kv.get

    async def slow_get(key: str) -> str | None:
        await asyncio.sleep(2)
        return await get(key)

    kv.get = slow_get  # type: ignore[method-assign]
    await isolate.acquire()
    assert (await isolate.replace(first)).secret == "access-refresh-2"
    kv.fail_writes = 0
    await isolate.background.finished()
    assert kv.record["refresh_token"] == "refresh-2"
    assert (await isolate.describe())["saved"] is True


@virtual
async def test_a_slow_write_of_one_token_does_not_come_after_that_of_the_next() -> None:
    kv = MemoryKV()
    isolate, first = await unsaved_for_a_minute(kv)
    put = kv.put

    async def slow_put(key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        await asyncio.sleep(10 if '"refresh-1"' in value else 0)
        await put(key, value, expiration_ttl_seconds=expiration_ttl_seconds)

    kv.fail_writes, kv.put = 0, slow_put  # type: ignore[method-assign]
    await isolate.acquire()
    await asyncio.sleep(2)
    assert (await isolate.replace(first)).secret == "access-refresh-2"
    await isolate.background.finished()
    assert [record["refresh_token"] for record in kv.record_writes] == ["refresh-1", "refresh-2"]


@virtual
async def test_the_trail_has_no_gap_where_a_token_was_replaced_before_it_was_saved() -> None:
    kv = MemoryKV()
    isolate, credential = await unsaved_for_a_minute(kv)
    credential = await isolate.replace(credential)
    kv.fail_writes = 0
    await isolate.background.finished()
    del kv.values[RECORD_KEY]
    sleeper = Isolate(EXPIRED, kv=kv, endpoint=isolate.endpoint)
    assert (await sleeper.acquire()).secret == credential.secret == "access-refresh-2"


@virtual
async def test_a_write_that_hangs_does_not_bring_back_its_token_in_the_end() -> None:
    """Another job has refreshed the token meanwhile."""
    kv = MemoryKV()
    isolate = Isolate(EXPIRED, kv=kv)
    put = kv.put

    async def slow_put(key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        await asyncio.sleep(100 if '"refresh-1"' in value else 0)
        await put(key, value, expiration_ttl_seconds=expiration_ttl_seconds)

    kv.put = slow_put  # type: ignore[method-assign]
    first = await isolate.acquire()
    await asyncio.sleep(40)
    assert (await isolate.replace(first)).secret == "access-refresh-2"
    await asyncio.sleep(100)
    assert (await isolate.acquire()).secret == "access-refresh-2"


@virtual
async def test_an_unsaved_token_does_not_come_back_after_the_one_that_another_isolate_made_of_it() -> None:
    kv = MemoryKV()
    isolate, first = await unsaved_for_a_minute(kv)
    newer = {
        "access_token": "access-refresh-2",
        "refresh_token": "refresh-2",
        "expiry_date": START_MS + 9 * HOUR * 1000,
        "refreshed_at": START_MS + 1_000,
    }
    kv.values[RECORD_KEY] = json.dumps(newer)
    assert (await isolate.replace(first)).secret == "access-refresh-2"
    kv.shown[RECORD_KEY] = login_json(expires_in_seconds=-10)
    isolate.endpoint.live = {"refresh-2"}
    assert (await isolate.replace(await isolate.acquire())).secret == "access-refresh-3"
    assert isolate.endpoint.refused == 0
