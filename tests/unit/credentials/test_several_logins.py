"""Several logins share a KV namespace: each has its own record, and finds it wherever the login stands."""

import asyncio
import json
from typing import Any

import pytest

from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.store import ACCOUNT_LIFETIME_SECONDS, RECORD_KEY
from qwen_worker.errors import RefreshPending
from tests.support.clock import virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, TokenEndpoint, login_json


def login(name: str, **members: Any) -> dict[str, Any]:
    """A login that was made long ago."""
    text = login_json(access=f"access-{name}-0", refresh=f"{name}-0", expires_in_seconds=-10)
    return {**json.loads(text), **members}


class World:
    """One KV namespace and one Qwen; isolates come and go."""

    def __init__(self, kv: MemoryKV | None = None) -> None:
        self.endpoint = TokenEndpoint("a-0", "b-0", "c-0")
        self.kv = kv or MemoryKV()

    def isolate(self, *names: str, **extra: dict[str, Any]) -> Isolate:
        """An isolate that is configured with these logins, in this order; `extra` has members for some."""
        logins = [login(name, **extra.get(name, {})) for name in names]
        return Isolate({"QWEN_CLI_AUTH": json.dumps(logins)}, endpoint=self.endpoint, kv=self.kv)

    async def tokens(self, isolate: Isolate) -> list[str]:
        """The access token that each of its accounts calls with."""
        found = [
            await account.source.acquire(isolate.runtime, isolate.log) for account in isolate.pool.accounts
        ]
        await isolate.background.finished()
        return [credential.secret for credential in found]


@virtual
async def test_each_login_has_a_record_of_its_own() -> None:
    world = World()
    assert await world.tokens(world.isolate("a", "b", "c")) == ["access-a-1", "access-b-1", "access-c-1"]
    records = {
        key: json.loads(value)["refresh_token"]
        for key, value in world.kv.values.items()
        if ":successor:" not in key
    }
    assert records.pop(RECORD_KEY) == "a-1"
    assert sorted(records.values()) == ["b-1", "c-1"]
    assert await world.tokens(world.isolate("a", "b", "c")) == ["access-a-1", "access-b-1", "access-c-1"]
    assert world.endpoint.refused == 0


@pytest.mark.parametrize("after", ["ba", "b", "a", "cab", "bca", "c"])
@pytest.mark.parametrize("before", ["a", "ab", "abc", "ba", "cb"])
def test_whatever_is_added_removed_or_rearranged_no_token_is_lost_or_mixed_up(
    before: str, after: str
) -> None:
    """A login that is removed and put back later still works."""

    @virtual
    async def run() -> None:
        world = World()
        generation = dict.fromkeys("abc", 0)
        for names in (before, after, before, after):
            for name in names:
                generation[name] += 1
            isolate = world.isolate(*names)
            assert await world.tokens(isolate) == [f"access-{name}-{generation[name]}" for name in names]
            await asyncio.sleep(7 * HOUR)
        assert world.endpoint.refused == 0

    run()


@virtual
async def test_a_predecessors_record_beside_several_logins_is_nobodys_unless_the_first_is_dead() -> None:
    record = login_json(access="access-b-7", refresh="b-7", expires_in_seconds=5 * HOUR)
    world = World(MemoryKV({RECORD_KEY: record}))
    assert await world.tokens(world.isolate("a", "b")) == ["access-a-1", "access-b-1"]
    rotated = login_json(access="access-a-7", refresh="a-7", expires_in_seconds=5 * HOUR)
    world = World(MemoryKV({RECORD_KEY: rotated}))
    world.endpoint.live = {"a-7", "b-0"}
    assert await world.tokens(world.isolate("a", "b")) == ["access-a-7", "access-b-1"]


@virtual
async def test_records_of_logins_that_are_gone_expire_but_not_the_first_ones() -> None:
    kv = MemoryKV()
    world = World(kv)
    await world.tokens(world.isolate("a", "b"))
    assert kv.namespace.lifetimes.pop(RECORD_KEY) is None
    others = {key: seconds for key, seconds in kv.namespace.lifetimes.items() if ":account:" in key}
    assert list(others.values()) == [ACCOUNT_LIFETIME_SECONDS]


@virtual
async def test_a_single_login_looks_for_a_former_record_once_in_its_life() -> None:
    world = World()
    for _ in range(5):
        await world.tokens(world.isolate("a"))
        await asyncio.sleep(6 * HOUR)
    assert sum(":account:" in key for key in world.kv.reads) == 1
    assert len(world.endpoint.spent_by("a")) == 5


@virtual
async def test_cron_keeps_every_login_alive() -> None:
    world = World()
    for _ in range(4 * 24 * 2):
        await world.isolate("a", "b", "c").cron()
        await asyncio.sleep(15 * 60)
    for name in "abc":
        assert 2 * 4 <= len(world.endpoint.spent_by(name)) <= 2 * 5
    assert world.endpoint.refused == 0


@virtual
async def test_a_base_url_of_its_own_goes_before_the_logins_resource_url() -> None:
    world = World()
    isolate = world.isolate("a", "b", b={"base_url": "https://example.com/v1"})
    found: list[Credential] = [
        await account.source.acquire(isolate.runtime, isolate.log) for account in isolate.pool.accounts
    ]
    assert [credential.base_url for credential in found] == [
        "https://portal.qwen.ai/v1",
        "https://example.com/v1",
    ]


@virtual
async def test_patience_with_a_slow_refresh_is_bounded_and_the_refresh_goes_on() -> None:
    world = World()
    world.endpoint.delay_seconds = 10.0
    isolate = world.isolate("a", "b")
    began = asyncio.get_running_loop().time()
    with pytest.raises(RefreshPending):
        await isolate.account.acquire(isolate.runtime, isolate.log, patience_ms=3_000)
    assert 3.0 <= asyncio.get_running_loop().time() - began < 4.0
    await isolate.background.finished()
    assert (await isolate.acquire()).secret == "access-a-1"


@virtual
async def test_a_login_that_came_back_to_life_is_told_from_the_dead_one() -> None:
    world = World()
    isolate = world.isolate("a", "b")
    [account, _] = isolate.pool.accounts
    world.endpoint.live = {"a-5"}
    await isolate.error()
    account.note_refusal()
    assert not account.has_renewed(isolate.runtime.clock.now_ms())
    lineage = account.settings.identity
    renewed = json.loads(login_json(access="access-a-6", refresh="a-6", expires_in_seconds=9 * HOUR))
    world.kv.values[RECORD_KEY] = json.dumps({**renewed, "secret_fingerprint": lineage})
    await asyncio.sleep(HOUR)
    await isolate.cron()
    assert account.has_renewed(isolate.runtime.clock.now_ms())
