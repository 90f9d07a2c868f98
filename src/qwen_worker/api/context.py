"""What every route handler is given."""

from typing import TYPE_CHECKING, NamedTuple

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.client_keys import ANYONE, ClientKey
from qwen_worker.config.settings import Settings
from qwen_worker.log import Log
from qwen_worker.platform.ports import InboundRequest, Respond, Runtime
from qwen_worker.upstream.error_reader import ErrorReader

if TYPE_CHECKING:
    from qwen_worker.usage.ledger import Ledger
    from qwen_worker.usage.meter import Meter


class Context(NamedTuple):
    """One request and all that a handler may need to answer it."""

    request: InboundRequest
    request_id: str
    argument: str
    """What stands in the path for the name in braces, percent-encoded; empty where there is none."""
    settings: Settings
    pool: AccountPool
    runtime: Runtime
    log: Log
    errors: ErrorReader
    respond: Respond
    """Begins the response. Each handler calls it once, or raises ProxyError before that."""
    started_ms: int
    """When this isolate served its first request, in milliseconds since the Unix epoch."""
    client: ClientKey = ANYONE
    """Whose request it is."""
    ledger: "Ledger | None" = None
    """What this isolate knows of usage; None where nothing is counted."""
    meter: "Meter | None" = None
    """What counts this request; None where it is not counted."""
