"""Several isolates and one refresh token that works once, over a KV that shows old values."""

import asyncio
from typing import cast

import pytest

from qwen_worker.credentials import oauth, renewal
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.job import Job
from qwen_worker.credentials.kv_look import KvLook
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import CredentialsRejected, ProxyError, RefreshPending
from tests.support.clock import virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import LIFETIME_SECONDS, TokenEndpoint, login_json

EXPIRED = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}
NEARLY_EXPIRED = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=600)}


async def five_isolates_at_once(kv: MemoryKV, endpoint: TokenEndpoint) -> list[str | ProxyError]:
    """The case in which the predecessor failed: five isolates, each in a place of its own, and one expired
    token.

    Returns the access token, or the error, that each of them gets.
    """
    isolates = [Isolate(EXPIRED, kv=kv.elsewhere(), endpoint=endpoint, seed=seed) for seed in range(5)]
    results = await asyncio.gather(*(isolate.acquire() for isolate in isolates), return_exceptions=True)
    for isolate in isolates:
        await isolate.background.finished()
    return [
        result.secret if isinstance(result, Credential) else cast(ProxyError, result) for result in results
    ]


@virtual
async def test_five_isolates_with_an_expired_token_all_succeed_with_the_winners_login() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    assert await five_isolates_at_once(kv, endpoint) == ["access-refresh-1"] * 5
    assert (len(endpoint.spent), endpoint.refused) == (1, 4)
    assert kv.record["refresh_token"] == "refresh-1"


async def delete_on_400(job: Job, look: KvLook, refused: oauth.Refused, spent: str) -> None:
    """What the predecessor did: it took a refused refresh token for the stored one and deleted that."""
    await job.clock.sleep(1)
    cast(MemoryKV, job.runtime.kv).values.clear()
    job.state.held.token = None


def test_the_same_bricks_the_login_if_a_refusal_deletes_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "doubt", delete_on_400)

    @virtual
    async def story() -> None:
        kv, endpoint = MemoryKV(), TokenEndpoint()
        results = await five_isolates_at_once(kv, endpoint)
        assert [isinstance(result, ProxyError) for result in results].count(True) == 4
        assert kv.values == {}
        assert isinstance(await Isolate(EXPIRED, kv=kv, endpoint=endpoint).error(), ProxyError)

    story()


@virtual
async def test_the_refused_ones_find_the_winners_login_though_their_place_shows_the_old_record() -> None:
    kv, endpoint = MemoryKV({RECORD_KEY: login_json(expires_in_seconds=-10)}), TokenEndpoint()
    winner = Isolate({}, kv=kv.elsewhere(), endpoint=endpoint)
    stale = kv.elsewhere()
    stale.shown = {RECORD_KEY: kv.values[RECORD_KEY]}
    loser = Isolate({}, kv=stale, endpoint=endpoint)
    await winner.acquire()
    assert (await loser.acquire()).secret == "access-refresh-1"
    assert (len(endpoint.spent), endpoint.refused) == (1, 1)


@virtual
async def test_a_login_that_appears_in_kv_while_ours_is_refused_is_used() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint("another-0")
    waiting = asyncio.ensure_future(Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire())
    await asyncio.sleep(0.2)
    kv.values[RECORD_KEY] = login_json(access="access-another-0", refresh="another-0")
    assert (await waiting).secret == "access-another-0"
    assert len(endpoint.requests) == 1


@virtual
async def test_a_refused_isolate_goes_on_with_a_token_that_has_not_expired() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    blind = kv.elsewhere()
    loser = Isolate(NEARLY_EXPIRED, kv=blind, endpoint=endpoint)
    await Isolate(NEARLY_EXPIRED, kv=kv.elsewhere(), endpoint=endpoint).acquire()
    await asyncio.sleep(5)
    blind.hide = set(kv.values)
    for _ in range(60):
        assert (await loser.acquire()).secret == "access-refresh-0"
        await asyncio.sleep(1)
    assert endpoint.refused == 1
    blind.hide = set()
    await asyncio.sleep(20)
    await loser.acquire()
    await loser.background.finished()
    assert (await loser.acquire()).secret == "access-refresh-1"
    assert endpoint.refused == 1


async def lost_race_behind_a_stale_kv() -> tuple[Isolate, MemoryKV, TokenEndpoint]:
    """An isolate whose refresh token another one has spent, and whose KV does not show that yet."""
    kv, endpoint = MemoryKV({RECORD_KEY: login_json(expires_in_seconds=-10)}), TokenEndpoint()
    await Isolate({}, kv=kv.elsewhere(), endpoint=endpoint).acquire()
    blind = kv.elsewhere()
    blind.shown = {RECORD_KEY: login_json(expires_in_seconds=-10)}
    blind.hide = {key for key in kv.values if key != RECORD_KEY}
    return Isolate({}, kv=blind, endpoint=endpoint), blind, endpoint


@virtual
async def test_while_kv_may_be_stale_a_refused_isolate_without_token_asks_for_patience() -> None:
    loser, blind, endpoint = await lost_race_behind_a_stale_kv()
    for _ in range(12):
        error = await loser.error()
        assert isinstance(error, RefreshPending)
        assert error.headers()["retry-after"] in ("1", "2", "3", "4")
        await asyncio.sleep(4)
    assert endpoint.refused == 1
    blind.shown, blind.hide = {}, set()
    await asyncio.sleep(4)
    assert (await loser.acquire()).secret == "access-refresh-1"
    assert endpoint.refused == 1


@virtual
async def test_even_a_login_called_rejected_too_early_works_again_as_soon_as_kv_shows_the_winners() -> None:
    loser, blind, _ = await lost_race_behind_a_stale_kv()
    for _ in range(30):
        error = await loser.error()
        await asyncio.sleep(4)
    assert isinstance(error, CredentialsRejected)
    blind.shown, blind.hide = {}, set()
    assert (await loser.acquire()).secret == "access-refresh-1"


@virtual
async def test_a_stale_record_is_not_taken_for_newer_than_memory() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    isolate = Isolate(EXPIRED, kv=kv, endpoint=endpoint)
    await isolate.acquire()
    kv.shown = {RECORD_KEY: kv.values[RECORD_KEY]}
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await isolate.acquire()).secret == "access-refresh-2"
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await isolate.acquire()).secret == "access-refresh-3"
    assert endpoint.refused == 0


@virtual
async def test_an_isolate_that_slept_through_many_rotations_follows_their_trail() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    awake = Isolate(EXPIRED, kv=kv, endpoint=endpoint)
    for _ in range(4):
        await awake.acquire()
        await asyncio.sleep(LIFETIME_SECONDS)
    await awake.acquire()
    del kv.values[RECORD_KEY]
    sleeper = Isolate(EXPIRED, kv=kv, endpoint=endpoint)
    assert (await sleeper.acquire()).secret == "access-refresh-5"


@virtual
async def test_a_login_lost_to_everyone_is_not_searched_for_ever() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint("elsewhere")
    isolate = Isolate(EXPIRED, kv=kv, endpoint=endpoint)
    assert isinstance(await isolate.error(), CredentialsRejected)
    assert len(kv.reads) < 8
