"""What isolates tell each other about long cooldowns, in few writes."""

import json
from typing import Any

import pytest

from qwen_worker.accounts.cooldown_record import COOLDOWNS_KEY, WRITE_PAUSE_MS, CooldownRecord
from qwen_worker.accounts.health import WHOLE_ACCOUNT, AccountsMemory
from qwen_worker.errors import (
    CredentialsRejected,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamBlocked,
)
from qwen_worker.log import Log
from tests.support.clock import VirtualClock
from tests.support.kv import MemoryKV
from tests.support.ports import LogRecorder, make_runtime

MODEL = "qwen3-coder-plus"
QUOTA = QuotaExhausted("x")


def broken_kv() -> MemoryKV:
    kv = MemoryKV()
    kv.fail_reads = kv.fail_writes = float("inf")
    return kv


class Isolate:
    """One isolate; they share KV and the clock."""

    def __init__(self, kv: Any, clock: VirtualClock) -> None:
        self.memory = AccountsMemory()
        self._record = CooldownRecord(self.memory)
        self.clock = clock
        self._runtime = make_runtime(clock=clock, kv=kv)
        self._log = Log(LogRecorder(), "debug")

    def fail(self, identity: str, error: ProxyError) -> None:
        now_ms = self.clock.now_ms()
        cooldown = self.memory.health(identity).record_failure(error, MODEL, now_ms)
        if cooldown is not None:
            self._record.note(cooldown, now_ms)

    async def tell(self) -> None:
        await self._record.tell(self._runtime, self._log)

    async def recall(self) -> None:
        await self._record.recall(self._runtime, self._log)

    def is_cooling(self, identity: str) -> bool:
        return self.memory.health(identity).cooldown_for(MODEL, self.clock.now_ms()) is not None


class World:
    def __init__(self, kv: Any = None) -> None:
        self.kv = kv or MemoryKV()
        self.clock = VirtualClock()

    def isolate(self) -> Isolate:
        return Isolate(self.kv, self.clock)


@pytest.mark.parametrize("error", [QUOTA, QuotaExhausted("x", scope="model"), CredentialsRejected("x")])
async def test_a_new_isolate_knows_of_a_long_cooldown(error: ProxyError) -> None:
    world = World()
    first, second = world.isolate(), world.isolate()
    first.fail("a", error)
    await first.tell()
    await second.recall()
    assert second.is_cooling("a")
    assert not second.is_cooling("b")


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("x", retry_after_seconds=600),
        UpstreamBlocked("x"),
        QuotaExhausted("x", retry_after_seconds=30),
    ],
)
async def test_a_short_cooldown_is_not_worth_a_write(error: ProxyError) -> None:
    world = World()
    isolate = world.isolate()
    isolate.fail("a", error)
    await isolate.tell()
    assert world.kv.writes == []


async def test_a_cooldown_in_kv_ends_with_its_time_and_the_record_with_the_longest() -> None:
    world = World()
    first, second = world.isolate(), world.isolate()
    first.fail("a", QUOTA)
    await first.tell()
    assert world.kv.namespace.lifetimes[COOLDOWNS_KEY] == pytest.approx(900, abs=2)
    await second.recall()
    world.clock.advance(901)
    assert not second.is_cooling("a")


async def test_a_hundred_isolates_that_find_out_write_once() -> None:
    world = World()
    for _ in range(100):
        isolate = world.isolate()
        isolate.fail("a", QUOTA)
        await isolate.tell()
        world.clock.advance(1)
    assert len(world.kv.writes) == 1


async def test_one_isolate_writes_once_a_minute_at_most_and_then_all_that_is_new() -> None:
    world = World()
    isolate = world.isolate()
    for name in ("a", "b", "c"):
        isolate.fail(name, QUOTA)
        await isolate.tell()
    assert len(world.kv.writes) == 1
    world.clock.advance(WRITE_PAUSE_MS / 1000)
    await isolate.tell()
    assert len(world.kv.writes) == 2
    fresh = world.isolate()
    await fresh.recall()
    assert [fresh.is_cooling(name) for name in ("a", "b", "c")] == [True, True, True]


async def test_a_day_without_quota_costs_few_writes() -> None:
    world = World()
    isolates = [world.isolate() for _ in range(10)]
    for _ in range(24 * 60):
        world.clock.advance(60)
        for isolate in isolates:
            for name in ("a", "b", "c"):
                if not isolate.is_cooling(name):
                    isolate.fail(name, QUOTA)
                    await isolate.tell()
    assert 10 < len(world.kv.writes) < 150


async def test_kv_is_asked_once_in_an_isolates_life() -> None:
    world = World()
    isolate = world.isolate()
    await isolate.recall()
    await isolate.recall()
    assert world.kv.reads == [COOLDOWNS_KEY]


async def test_what_this_isolate_knows_itself_is_not_overwritten() -> None:
    world = World()
    first, second = world.isolate(), world.isolate()
    first.fail("a", QUOTA)
    await first.tell()
    second.fail("a", RateLimited("x", retry_after_seconds=5))
    await second.recall()
    world.clock.advance(6)
    assert not second.is_cooling("a")


@pytest.mark.parametrize("kv", [broken_kv(), None])
async def test_without_a_working_kv_nothing_breaks(kv: Any) -> None:
    isolate = Isolate(kv, VirtualClock())
    isolate.fail("a", QUOTA)
    await isolate.recall()
    await isolate.tell()
    assert isolate.is_cooling("a")


NONSENSE: tuple[Any, ...] = (
    "not json",
    "[]",
    json.dumps({"a": 5, "b": {"": 5}}),
    json.dumps({"a": {"": {"reason": "unknown", "until": 9e15, "back": 1, "times": 1}}}),
    json.dumps({"a": {"": {"reason": "quota", "until": "x", "back": 1, "times": 1}}}),
)


@pytest.mark.parametrize("value", NONSENSE)
async def test_a_record_that_makes_no_sense_is_as_good_as_none(value: str) -> None:
    world = World(MemoryKV({COOLDOWNS_KEY: value}))
    isolate = world.isolate()
    await isolate.recall()
    assert isolate.memory.cooldowns() == []
    isolate.fail("a", QUOTA)
    await isolate.tell()
    assert "a" in json.loads(world.kv.values[COOLDOWNS_KEY])


async def test_no_record_locks_an_account_for_longer_than_its_reason_may() -> None:
    far = VirtualClock().now_ms() + 10**9
    fields = {"reason": "quota", "until": far, "back": far, "times": 1}
    world = World(MemoryKV({COOLDOWNS_KEY: json.dumps({"a": {WHOLE_ACCOUNT: fields}})}))
    isolate = world.isolate()
    await isolate.recall()
    assert isolate.is_cooling("a")
    world.clock.advance(3601)
    assert not isolate.is_cooling("a")
