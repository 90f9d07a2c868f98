"""What happens when the API answers 401 or 403."""

import asyncio
from contextlib import suppress

import pytest

from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import CredentialsRejected, RefreshPending
from tests.support.clock import virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, Answer, TokenEndpoint, login_json


@virtual
async def test_a_refused_token_is_refreshed_though_it_has_not_expired() -> None:
    isolate = Isolate(kv=MemoryKV())
    refused = await isolate.acquire()
    assert (await isolate.replace(refused)).secret == "access-refresh-1"
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_100_refused_requests_share_one_refresh() -> None:
    isolate = Isolate(kv=MemoryKV())
    refused = await isolate.acquire()
    credentials = await asyncio.gather(*(isolate.replace(refused) for _ in range(100)))
    assert {credential.secret for credential in credentials} == {"access-refresh-1"}
    assert (await isolate.replace(refused)).secret == "access-refresh-1"
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_what_another_isolate_has_refreshed_is_used_instead_of_a_refresh() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    one, two = Isolate(kv=kv, endpoint=endpoint), Isolate(kv=kv, endpoint=endpoint)
    refused = await two.acquire()
    await one.replace(await one.acquire())
    assert (await two.replace(refused)).secret == "access-refresh-1"
    assert len(endpoint.requests) == 1


@virtual
async def test_a_refusal_during_a_background_refresh_waits_for_it() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(expires_in_seconds=600)}, kv=MemoryKV())
    isolate.endpoint.delay_seconds = 3
    refused = await isolate.acquire()
    assert isolate.background.tasks
    assert (await isolate.replace(refused)).secret == "access-refresh-1"
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_a_refusal_during_a_mere_look_into_kv_is_followed_by_a_refresh() -> None:
    kv = MemoryKV()
    kv.fail_reads = float("inf")
    isolate = Isolate(kv=kv)
    await isolate.acquire()
    await asyncio.sleep(20)
    refused = await isolate.acquire()
    assert isolate.background.tasks
    assert (await isolate.replace(refused)).secret == "access-refresh-1"


@virtual
async def test_a_token_refused_straight_after_its_refresh_means_that_the_oauth_tier_is_closed() -> None:
    isolate = Isolate(kv=MemoryKV())
    fresh = await isolate.replace(await isolate.acquire())
    with pytest.raises(CredentialsRejected) as caught:
        await isolate.replace(fresh)
    error = caught.value
    assert (error.status, error.code) == (503, "oauth_discontinued")
    assert error.headers()["x-should-retry"] == "false"
    for word in ("2026-04-15", "QWEN_API_KEY", "QWEN_BASE_URL"):
        assert word in error.message
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_a_closed_tier_is_probed_ever_more_rarely() -> None:
    kv = MemoryKV()
    isolate = Isolate(kv=kv)
    calls = 0
    for turn in range(24 * 360):
        with suppress(CredentialsRejected):
            credential = await isolate.acquire()
            while True:
                calls += 1
                credential = await isolate.replace(credential)
        assert turn == 0 or (await isolate.error()).code == "oauth_discontinued"
        await asyncio.sleep(10)
    assert len(isolate.endpoint.requests) <= 160
    assert calls <= 500


@virtual
async def test_one_request_that_is_refused_does_not_keep_the_next_one_away() -> None:
    """What it asks for may be the reason for the 401."""
    isolate = Isolate(kv=MemoryKV())
    fresh = await isolate.replace(await isolate.acquire())
    with pytest.raises(CredentialsRejected):
        await isolate.replace(fresh)
    assert await isolate.acquire() == fresh


@virtual
async def test_nor_do_several_among_others_that_are_answered() -> None:
    isolate = Isolate(kv=MemoryKV())
    fresh = await isolate.replace(await isolate.acquire())
    for _ in range(5):
        with pytest.raises(CredentialsRejected):
            await isolate.replace(fresh)
        assert await isolate.acquire() == fresh
        isolate.account.note_accepted()


@virtual
async def test_what_a_wrong_base_url_has_refused_does_not_count_when_it_is_mended() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(), "QWEN_BASE_URL": "https://wrong.example/v1"})
    fresh = await isolate.replace(await isolate.acquire())
    for _ in range(2):
        with pytest.raises(CredentialsRejected):
            await isolate.replace(fresh)
    assert (await isolate.error()).code == "oauth_discontinued"

    isolate.configure({"QWEN_CLI_AUTH": login_json(), "QWEN_BASE_URL": "https://right.example/v1"})

    assert (await isolate.acquire()).secret == fresh.secret


@virtual
async def test_when_the_tier_is_back_it_is_used_again() -> None:
    isolate = Isolate(kv=MemoryKV())
    fresh = await isolate.replace(await isolate.acquire())
    for _ in range(2):
        with pytest.raises(CredentialsRejected):
            await isolate.replace(fresh)
    assert (await isolate.error()).code == "oauth_discontinued"
    await asyncio.sleep(6)
    assert await isolate.acquire() == fresh


@virtual
async def test_a_token_revoked_hours_after_its_refresh_is_refreshed_again() -> None:
    isolate = Isolate(kv=MemoryKV())
    first = await isolate.replace(await isolate.acquire())
    await asyncio.sleep(HOUR)
    assert (await isolate.replace(first)).secret == "access-refresh-2"


@virtual
async def test_a_revoked_token_whose_refresh_token_is_dead() -> None:
    isolate = Isolate(kv=MemoryKV(), endpoint=TokenEndpoint("another-0"))
    refused = await isolate.acquire()
    for _ in range(3):
        with pytest.raises(CredentialsRejected) as caught:
            await isolate.replace(refused)
        assert caught.value.code == "credentials_rejected"
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_a_revoked_token_during_an_outage_of_the_token_endpoint() -> None:
    isolate = Isolate(kv=MemoryKV())
    isolate.endpoint.faults = [Answer(503, "")] * 100
    refused = await isolate.acquire()
    for _ in range(20):
        with pytest.raises(RefreshPending):
            await isolate.replace(refused)
    assert len(isolate.endpoint.requests) == 3
    assert (await isolate.acquire()) == refused


@virtual
async def test_a_stale_record_does_not_bring_back_an_older_token() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    isolate = Isolate(kv=kv, endpoint=endpoint)
    first = await isolate.replace(await isolate.acquire())
    await asyncio.sleep(HOUR)
    kv.shown = {RECORD_KEY: login_json()}
    assert (await isolate.replace(first)).secret == "access-refresh-2"


@virtual
async def test_a_static_key_has_no_replacement() -> None:
    isolate = Isolate({"QWEN_API_KEY": "static-key-1", "QWEN_BASE_URL": "https://host.example/v1"})
    key = await isolate.acquire()
    assert key == Credential("api_key", "static-key-1", "https://host.example/v1")
    with pytest.raises(CredentialsRejected) as caught:
        await isolate.replace(key)
    assert "QWEN_API_KEY" in caught.value.message
    assert "QWEN_BASE_URL" in caught.value.message
    assert "static-key-1" not in caught.value.message
