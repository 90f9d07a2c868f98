"""What every route handler is given, and what it returns."""

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.settings import Settings
from qwen_worker.log import Log
from qwen_worker.platform.ports import InboundRequest, Response, Runtime

if TYPE_CHECKING:
    from qwen_worker.streams.relay import StreamedCompletion

Answer: TypeAlias = "Response | StreamedCompletion"
"""A whole response, or one that is still to be opened and goes on for a while."""


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
