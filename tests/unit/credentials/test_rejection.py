"""A dead login: it is remembered and reported, causes few requests, and a new one works at once."""

import asyncio
import json

from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import CredentialsRejected, RefreshPending
from tests.support.clock import virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, TokenEndpoint, login_json

DEAD = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}


def dead_endpoint() -> TokenEndpoint:
    return TokenEndpoint("another-0")


@virtual
async def test_every_request_gets_a_503_that_is_not_to_be_retried_and_says_what_to_do() -> None:
    isolate = Isolate(DEAD, kv=MemoryKV(), endpoint=dead_endpoint())
    errors = await asyncio.gather(*(isolate.error() for _ in range(100)))
    errors += [await isolate.error() for _ in range(100)]
    assert {(error.status, error.code) for error in errors} == {(503, "credentials_rejected")}
    assert errors[0].headers()["x-should-retry"] == "false"
    assert "QWEN_CLI_AUTH" in errors[0].message
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_other_isolates_learn_it_from_kv() -> None:
    kv, endpoint = MemoryKV(), dead_endpoint()
    await Isolate(DEAD, kv=kv, endpoint=endpoint).error()
    for _ in range(10):
        error = await Isolate(DEAD, kv=kv, endpoint=endpoint).error()
        assert isinstance(error, CredentialsRejected)
    assert len(endpoint.requests) == 1
    assert "refresh-0" not in json.dumps(kv.values)


@virtual
async def test_a_dead_login_without_kv_makes_no_storm_either() -> None:
    isolate = Isolate(DEAD, kv=None, endpoint=dead_endpoint())
    for _ in range(50):
        assert isinstance(await isolate.error(), CredentialsRejected)
        await asyncio.sleep(10)
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_a_new_secret_clears_it_at_once() -> None:
    isolate = Isolate(DEAD, kv=MemoryKV(), endpoint=dead_endpoint())
    await isolate.error()
    isolate.configure({"QWEN_CLI_AUTH": login_json(access="access-another-0", refresh="another-0")})
    assert (await isolate.acquire()).secret == "access-another-0"


@virtual
async def test_a_new_record_in_kv_clears_it_at_once() -> None:
    kv = MemoryKV()
    isolate = Isolate(DEAD, kv=kv, endpoint=dead_endpoint())
    await isolate.error()
    kv.values[RECORD_KEY] = login_json(access="access-another-0", refresh="another-0")
    assert (await isolate.acquire()).secret == "access-another-0"


@virtual
async def test_a_new_record_whose_access_token_has_expired_is_refreshed() -> None:
    kv = MemoryKV()
    isolate = Isolate(DEAD, kv=kv, endpoint=dead_endpoint())
    await isolate.error()
    kv.values[RECORD_KEY] = login_json(access="access-x", refresh="another-0", expires_in_seconds=-500)
    assert (await isolate.acquire()).secret == "access-another-1"


@virtual
async def test_a_new_record_helps_a_login_that_had_no_refresh_token() -> None:
    kv = MemoryKV()
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(refresh=None, expires_in_seconds=-10)}, kv=kv)
    assert isinstance(await isolate.error(), CredentialsRejected)
    kv.values[RECORD_KEY] = login_json(access="access-another-0", refresh="another-0")
    assert (await isolate.acquire()).secret == "access-another-0"


@virtual
async def test_the_access_token_is_used_to_its_end_though_its_refresh_token_is_dead() -> None:
    env = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=600)}
    isolate = Isolate(env, kv=MemoryKV(), endpoint=dead_endpoint())
    for _ in range(56):
        assert (await isolate.acquire()).secret == "access-refresh-0"
        await asyncio.sleep(10)
    await asyncio.sleep(11)
    assert isinstance(await isolate.error(), CredentialsRejected)
    assert len(isolate.endpoint.requests) == 1
    assert "login rejected" in isolate.events("error")


@virtual
async def test_an_hour_later_it_is_tried_once_more_because_the_endpoint_may_have_been_wrong() -> None:
    isolate = Isolate(DEAD, kv=MemoryKV(), endpoint=dead_endpoint())
    await isolate.error()
    await asyncio.sleep(HOUR + 60)
    assert isinstance(await isolate.error(), CredentialsRejected)
    assert len(isolate.endpoint.requests) == 2
    assert isinstance(await isolate.error(), CredentialsRejected)
    assert len(isolate.endpoint.requests) == 2
    isolate.endpoint.live = {"refresh-0"}
    await asyncio.sleep(HOUR + 60)
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_a_refresh_token_that_works_again_is_no_longer_held_to_be_dead() -> None:
    isolate = Isolate(DEAD, kv=MemoryKV(), endpoint=dead_endpoint())
    await isolate.error()
    await asyncio.sleep(HOUR + 60)
    isolate.endpoint.live, isolate.endpoint.rotates = {"refresh-0"}, False
    assert (await isolate.acquire()).secret == "access-1"
    assert (await isolate.describe())["state"] == "ready"


@virtual
async def test_while_kv_cannot_be_read_no_login_is_called_dead() -> None:
    kv = MemoryKV()
    kv.fail_reads = float("inf")
    isolate = Isolate(DEAD, kv=kv, endpoint=dead_endpoint())
    for _ in range(10):
        assert isinstance(await isolate.error(), RefreshPending)
        await asyncio.sleep(20)
    assert len(isolate.endpoint.requests) == 1
    kv.fail_reads = 0
    assert isinstance(await isolate.error(), CredentialsRejected)


@virtual
async def test_a_failing_read_of_the_successor_makes_no_login_dead() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    await Isolate(DEAD, kv=kv, endpoint=endpoint).acquire()
    kv.hide = {RECORD_KEY}
    kv.fail_keys = {key for key in kv.values if "successor" in key}
    isolate = Isolate(DEAD, kv=kv, endpoint=endpoint)
    assert isinstance(await isolate.error(), RefreshPending)
    kv.fail_keys = set()
    await asyncio.sleep(5)
    assert (await isolate.acquire()).secret == "access-refresh-1"
    assert endpoint.refused == 1


@virtual
async def test_nothing_is_deleted_or_overwritten() -> None:
    record = login_json(access="access-x", refresh="dead-0", expires_in_seconds=-10)
    kv = MemoryKV({RECORD_KEY: record})
    isolate = Isolate({}, kv=kv, endpoint=dead_endpoint())
    for _ in range(40):
        await isolate.error()
        await asyncio.sleep(5)
    assert kv.values[RECORD_KEY] == record
    assert isinstance(await isolate.error(), CredentialsRejected)
    assert len(isolate.endpoint.requests) == 1
