"""What /health tells whoever has a key of where the gateway runs: for `make doctor URL=...`."""

import sys
from typing import Any

from qwen_worker.last_cron import last_run_ms
from qwen_worker.platform.ports import Runtime


async def describe_runtime(runtime: Runtime) -> dict[str, Any]:
    """The Python that runs, the clock in milliseconds since the Unix epoch, and how many seconds ago a run of
    the cron trigger was noted (None: never).
    """
    now_ms = runtime.clock.now_ms()
    last_ms = None if runtime.kv is None else await last_run_ms(runtime.kv)
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "now_ms": now_ms,
        "last_cron_seconds_ago": None if last_ms is None else max(0, now_ms - last_ms) // 1000,
    }
