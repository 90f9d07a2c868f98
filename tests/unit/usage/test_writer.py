"""When usage is written, and what becomes of it when it cannot be."""

import asyncio

from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime
from qwen_worker.usage.budget import Budget
from qwen_worker.usage.counters import INDEX, Row
from qwen_worker.usage.ledger import Ledger
from qwen_worker.usage.writer import PATIENCE_SECONDS, WAIT_SECONDS, write_soon
from tests.support.background import TaskBackground
from tests.support.clock import VirtualClock, virtual
from tests.support.database import SqliteDatabase
from tests.support.ports import LogRecorder, make_runtime

ROW = Row("2027-01-15", "alice", 8, "qwen3-coder-plus", "first", "chat")


class World:
    def __init__(self) -> None:
        self.database = SqliteDatabase()
        self.background = TaskBackground()
        self.ledger = Ledger()
        self.logs = LogRecorder()
        self.runtime: Runtime = make_runtime(
            clock=VirtualClock(), background=self.background, database=self.database
        )

    def count(self, requests: int = 1) -> None:
        self.ledger.counters.add(ROW, {"requests": requests, "input_tokens": requests})
        write_soon(self.ledger, self.runtime, Log(self.logs, "info"))

    @property
    def unwritten(self) -> int:
        return sum(counts[INDEX["requests"]] for counts in self.ledger.counters.rows.values())


@virtual
async def test_one_job_writes_everything_ten_seconds_later() -> None:
    world = World()
    for _ in range(50):
        world.count()
        await asyncio.sleep(0.1)
    assert world.background.spawned == 1
    assert world.database.writes == 0

    await world.background.finished()

    assert WAIT_SECONDS <= asyncio.get_running_loop().time() < WAIT_SECONDS + 1
    assert world.database.total("requests") == 50
    assert world.unwritten == 0


@virtual
async def test_an_isolate_writes_six_times_a_minute_at_most() -> None:
    world = World()
    for _ in range(600):
        world.count()
        await asyncio.sleep(0.1)
    await world.background.finished()
    assert world.database.writes <= 6 + 2  # once the table was missing, and once after the minute
    assert world.database.total("requests") == 600


@virtual
async def test_what_is_counted_during_the_writing_is_written_too() -> None:
    world = World()
    world.database.delay_seconds = 3
    world.count()
    await asyncio.sleep(WAIT_SECONDS + 1)
    world.count(7)
    await world.background.finished()
    assert world.database.total("requests") == 8


@virtual
async def test_a_failed_write_keeps_the_counts_and_is_tried_again() -> None:
    world = World()
    world.database.failures = 1
    world.count(3)
    await asyncio.sleep(WAIT_SECONDS + 1)
    assert world.unwritten == 3
    assert world.ledger.failed_ms is not None
    assert len(world.logs.events("usage was not written")) == 1

    await world.background.finished()

    assert world.database.total("requests") == 3
    assert world.ledger.failed_ms is None


@virtual
async def test_after_a_long_failure_the_next_request_starts_over() -> None:
    world = World()
    world.database.failures = 5
    world.count(3)
    await world.background.finished()
    assert world.unwritten == 3
    world.database.failures = 0
    world.count()
    await world.background.finished()
    assert world.database.total("requests") == 4


@virtual
async def test_a_database_that_hangs_is_given_up() -> None:
    world = World()
    world.database.hangs = True
    world.count()
    await asyncio.sleep(WAIT_SECONDS + PATIENCE_SECONDS + 1)
    assert world.unwritten == 1
    world.database.hangs = False
    await world.background.finished()
    assert world.database.total("requests") == 1


@virtual
async def test_a_job_that_died_with_its_request_is_replaced() -> None:
    world = World()
    world.count()
    await asyncio.sleep(1)
    world.background.cancel()
    await asyncio.sleep(120)
    world.count()
    assert world.background.spawned == 2
    await world.background.finished()
    assert world.database.total("requests") == 2


@virtual
async def test_budgets_are_read_when_they_are_due_and_after_the_writing() -> None:
    world = World()
    budget = world.ledger.budgets["alice"] = Budget("2027-01-15")
    budget.unwritten = 2
    world.count(2)
    await world.background.finished()
    assert (budget.stored, budget.unwritten, budget.spent) == (2, 0, 2)
    assert world.database.reads == 1

    # Another isolate has written, which is told within a minute.
    world.database.query("UPDATE usage SET input_tokens = input_tokens + 100")
    for _ in range(7):
        world.count()
        budget.unwritten += 1
        await world.background.finished()
    assert world.database.reads == 2
    assert budget.spent == 109
