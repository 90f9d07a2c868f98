"""The Worker's only entry module: hands the runtime's events to the gateway.

Every runtime calls these functions; wrangler.toml has the flag that makes production do so. They take any
number of arguments, because matching named parameters costs Pyodide time at every call.
"""

from typing import Any

from qwen_worker.platform.interop import IS_EMBEDDED
from qwen_worker.platform.worker import scheduled, serve

if not IS_EMBEDDED:
    import qwen_worker.preload  # noqa: F401 - the deployment's memory snapshot is to hold everything


def on_fetch(*event: Any) -> Any:
    """Serves a fetch event: request, env, ctx."""
    return serve(*event)


async def on_scheduled(*event: Any) -> None:
    """Serves a cron event: controller, env, ctx."""
    await scheduled(*event[1:3])
