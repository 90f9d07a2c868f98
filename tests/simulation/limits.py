"""A key with a daily limit in many isolates: how far is it overrun? `python -m tests.simulation.limits`.

Each isolate is the real gateway with a memory of its own; they share one database. Isolates end at any time,
with what they have not written, and new ones take their place, knowing nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from tests.support.clock import VirtualClock, run_virtual
from tests.support.database import SqliteDatabase
from tests.support.ports import ScriptedResponse
from tests.support.usage_gateway import UsageGateway, completion

TOKENS = 1_000
"""What a request takes."""


class Rush(NamedTuple):
    """How a key is used. Rates are requests a second, all isolates together."""

    isolates: int
    rate: float
    seconds_to_limit: float
    """After so many seconds its limit is reached."""
    life_seconds: float = 1e9
    """How long an isolate lives, on average."""
    answer_seconds: float = 2.0
    has_database: bool = True

    @property
    def limit(self) -> int:
        """Tokens a day."""
        return int(self.rate * self.seconds_to_limit) * TOKENS


RUSHES = {
    "one isolate": Rush(1, 2, 100),
    "ten isolates": Rush(10, 5, 300),
    "ten, a limit that is soon reached": Rush(10, 5, 20),
    "forty, a limit that is soon reached": Rush(40, 20, 20),
    "forty, short-lived": Rush(40, 20, 200, life_seconds=60),
    "ten, no database": Rush(10, 5, 60, has_database=False),
}


class Overrun(NamedTuple):
    """What came of a rush."""

    spent: int
    limit: int
    seconds: float
    """The overrun in seconds of the key's use."""
    last_answer_seconds: float
    """How long after the limit was reached the last request was admitted."""


def simulate(rush: Rush, seed: int) -> Overrun:
    """Uses a key for three minutes after its limit is reached."""
    return run_virtual(_simulate(rush, random.Random(seed)))


async def _simulate(rush: Rush, chance: random.Random) -> Overrun:
    database = SqliteDatabase() if rush.has_database else None
    clock = VirtualClock()
    loop = asyncio.get_running_loop()
    spent = 0
    reached = last_admitted = 0.0
    isolates: list[UsageGateway] = []

    async def answer(_: object) -> ScriptedResponse:
        nonlocal spent, reached, last_admitted
        last_admitted = loop.time()
        await asyncio.sleep(rush.answer_seconds * chance.uniform(0.5, 1.5))
        spent += TOKENS
        if spent >= rush.limit and not reached:
            reached = loop.time()
        return ScriptedResponse(200, completion(TOKENS - 100, 100))

    def new_isolate() -> UsageGateway:
        keys = json.dumps([{"key": "key-1", "label": "alice", "tokens_per_day": rush.limit}])
        return UsageGateway(answer, database=database, clock=clock, CLIENT_KEYS=keys)

    isolates = [new_isolate() for _ in range(rush.isolates)]
    asking: set[asyncio.Task[object]] = set()
    while loop.time() < rush.seconds_to_limit + 180:
        await asyncio.sleep(chance.expovariate(rush.rate))
        place = chance.randrange(rush.isolates)
        if chance.random() < rush.isolates / (rush.rate * rush.life_seconds):
            isolates[place].background.cancel()
            isolates[place] = new_isolate()
        task: asyncio.Task[object] = asyncio.ensure_future(isolates[place].chat("key-1"))
        asking.add(task)
        task.add_done_callback(asking.discard)
    await asyncio.gather(*asking)
    over = max(0, spent - rush.limit)
    return Overrun(spent, rush.limit, over / (rush.rate * TOKENS), max(0.0, last_admitted - reached))


def main() -> None:
    print(f"{'':38}{'limit':>10}{'spent':>10}  overrun   last admitted after")
    for name, rush in RUSHES.items():
        results = [simulate(rush, seed) for seed in (1, 2, 3)]
        worst = max(results, key=lambda result: result.spent)
        print(
            f"{name:38}{worst.limit:10,}{worst.spent:10,}  {worst.seconds:5.1f} s "
            f"  {max(result.last_answer_seconds for result in results):6.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
