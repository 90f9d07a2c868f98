"""Writes what was counted, in the background, and asks what others have counted."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from qwen_worker.log import Log
from qwen_worker.platform.ports import Clock, Database, Runtime, StoreError
from qwen_worker.usage.counters import billed, utc_day
from qwen_worker.usage.ledger import Ledger
from qwen_worker.usage.store import UsageStore

WAIT_SECONDS = 10.0
"""How long counts are gathered: an isolate writes six times a minute at most."""

PATIENCE_SECONDS = 10.0
"""How long the database may take in the background."""

_ROUNDS = 2
_JOB_MS = int(1000 * (_ROUNDS * (WAIT_SECONDS + 2 * PATIENCE_SECONDS) + 5))
"""A job that has not ended after so long has died with its request."""


def write_soon(ledger: Ledger, runtime: Runtime, log: Log) -> None:
    """Starts the job that writes, unless there is one."""
    now_ms = runtime.clock.now_ms()
    if runtime.database is not None and not ledger.job.is_held(now_ms):
        writer = UsageWriter(ledger, runtime.database, runtime.clock, log)
        runtime.background.spawn(writer.job(ledger.job.take(now_ms + _JOB_MS)))


class UsageWriter:
    """One job."""

    def __init__(self, ledger: Ledger, database: Database, clock: Clock, log: Log) -> None:
        self._ledger = ledger
        self._store = UsageStore(database)
        self._clock = clock
        self._log = log

    async def job(self, number: int) -> None:
        """Waits, and writes; once more if that fails or more has come meanwhile. Never raises."""
        for _ in range(_ROUNDS):
            await self._clock.sleep(WAIT_SECONDS)
            if await self.write():
                await self.read_budgets()
                if not self._ledger.counters.rows:
                    break
        self._ledger.job.release(number)

    async def write(self) -> bool:
        """Writes what there is; whether that went well. Never raises."""
        ledger = self._ledger
        turn = await self._turn(PATIENCE_SECONDS)
        rows = ledger.counters.take()
        if rows:
            try:
                await self._in_time(self._store.write(rows), PATIENCE_SECONDS)
            except StoreError as error:
                ledger.counters.put_back(rows)
                ledger.failed_ms = self._clock.now_ms()
                ledger.turn.release(turn)
                self._log.warning("usage was not written", error=str(error), rows=len(rows))
                return False
            for row, counts in rows.items():
                budget = ledger.budgets.get(row.client)
                if budget is not None:
                    budget.note_written(row.day, billed(counts))
            ledger.failed_ms = None
        ledger.turn.release(turn)
        if ledger.counters.lost:
            self._log.warning("usage was not counted", additions=ledger.counters.lost)
            ledger.counters.lost = 0
        return True

    async def read_budgets(self, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Asks what the limited keys have used, where that is due. Never raises."""
        ledger, now_ms = self._ledger, self._clock.now_ms()
        due = [label for label, budget in ledger.budgets.items() if budget.is_due(now_ms)]
        if not due or ledger.turn.is_held(now_ms):
            return
        turn = await self._turn(patience_seconds)
        day = utc_day(now_ms)
        spent: dict[str, int] | None = None
        try:
            spent = await self._in_time(self._store.spent(day, due), patience_seconds)
        except StoreError as error:
            self._log.warning("usage was not read", error=str(error))
        for label in due:
            tokens = None if spent is None else spent.get(label, 0)
            ledger.budgets[label].note_reading(day, tokens, now_ms)
        ledger.turn.release(turn)

    async def _turn(self, seconds: float) -> int:
        """Waits until nobody else asks the database."""
        turn = self._ledger.turn
        while turn.is_held(self._clock.now_ms()):
            await self._clock.sleep(0.1)
        return turn.take(self._clock.now_ms() + int(2000 * seconds))

    async def _in_time(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """What `work` returns. Raises StoreError if it takes too long."""
        task = asyncio.ensure_future(work)

        def give_up() -> None:
            task.cancel()

        timer = self._clock.call_later(seconds, give_up)
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise StoreError("no answer in time") from None
        finally:
            timer.cancel()
