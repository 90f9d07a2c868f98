"""What the cron trigger does for usage."""

from qwen_worker.log import Log
from qwen_worker.platform.ports import Clock, Database, StoreError
from qwen_worker.usage.counters import utc_day, utc_hour
from qwen_worker.usage.ledger import Ledger
from qwen_worker.usage.store import KEPT_DAYS, UsageStore
from qwen_worker.usage.writer import UsageWriter

MERGING_HOUR = 3
"""In UTC. Old usage is merged within this hour of each day."""


async def keep_usage(ledger: Ledger | None, database: Database, clock: Clock, log: Log) -> None:
    """Writes what this isolate still has to write, and merges old usage. Never raises.

    A stream whose client has gone away has nobody to write its counts. They wait for the next request of the
    isolate, or for this.
    """
    if ledger is not None and ledger.counters.rows:
        await UsageWriter(ledger, database, clock, log).write()
    await _merge_old_usage(database, clock.now_ms(), log)


async def _merge_old_usage(database: Database, now_ms: int, log: Log) -> None:
    """Merges what is older than KEPT_DAYS by month, in one hour of the day."""
    if utc_hour(now_ms) != MERGING_HOUR:
        return
    try:
        await UsageStore(database).merge_before(utc_day(now_ms - KEPT_DAYS * 86_400_000))
    except StoreError as error:
        log.warning("usage was not merged", error=str(error))
