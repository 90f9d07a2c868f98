"""When the cron trigger ran last, as KV remembers it: an operator cannot see it otherwise."""

from qwen_worker.log import Log
from qwen_worker.platform.ports import KeyValueStore, StoreError

KEY = "qwen_last_cron"

NOTED_MS = 3_300_000
"""A run is noted only so long after the last noted one: with a run every 15 minutes that is each hour, 24 of
the free plan's 1,000 writes a day.
"""


async def note_run(kv: KeyValueStore, now_ms: int, log: Log) -> None:
    """Notes that the cron trigger runs now. Never raises."""
    last_ms = await last_run_ms(kv)
    if last_ms is not None and 0 <= now_ms - last_ms < NOTED_MS:
        return
    try:
        await kv.put(KEY, str(now_ms))
    except StoreError as error:
        log.warning("KV failed", operation="note the cron trigger", error=str(error))


async def last_run_ms(kv: KeyValueStore) -> int | None:
    """When a run was noted last, in milliseconds since the Unix epoch; None if never, or if KV fails."""
    try:
        noted = await kv.get(KEY)
    except StoreError:
        return None
    return int(noted) if noted is not None and noted.isascii() and noted.isdigit() else None
