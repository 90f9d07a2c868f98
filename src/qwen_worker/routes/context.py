"""What every route handler is given."""

from typing import NamedTuple

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config import Settings
from qwen_worker.log import Log
from qwen_worker.platform.ports import InboundRequest, Runtime


class Context(NamedTuple):
    """One request and all that a handler may need to answer it."""

    request: InboundRequest
    request_id: str
    settings: Settings
    pool: AccountPool
    runtime: Runtime
    log: Log
    started_ms: int
    """When this isolate served its first request, in milliseconds since the Unix epoch."""
