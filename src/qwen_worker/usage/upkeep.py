"""What the cron trigger does for usage."""

from qwen_worker.log import Log
from qwen_worker.platform.ports import Database, StoreError
from qwen_worker.usage.counters import utc_day, utc_hour
from qwen_worker.usage.store import KEPT_DAYS, UsageStore

MERGING_HOUR = 3
"""In UTC. Old usage is merged within this hour of each day."""


async def merge_old_usage(database: Database, now_ms: int, log: Log) -> None:
    """Merges what is older than KEPT_DAYS by month, in one hour of the day. Never raises."""
    if utc_hour(now_ms) != MERGING_HOUR:
        return
    try:
        await UsageStore(database).merge_before(utc_day(now_ms - KEPT_DAYS * 86_400_000))
    except StoreError as error:
        log.warning("usage was not merged", error=str(error))
