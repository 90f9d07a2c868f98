"""How a stream begins: what is decided before the client is told 200.

Qwen hides errors in streams of status 200, and so do gateways before it. What comes first is answered with
its real status.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Literal

from qwen_worker.errors import ProxyError, UpstreamBlocked
from qwen_worker.sse import Event, EventParser
from qwen_worker.upstream.errors import error_from_event, error_from_response

LONGEST_START_BYTES = 1_000_000
"""How much is read in search of a first event."""


Relaying = Literal["native", "rewritten"]
"""How a stream is passed on."""

_misread = re.compile(rb"\A\xef\xbb\xbf|\r(?!\n|\Z)|^(?:id|event)\b", re.MULTILINE).search
"""What clients misread: a byte order mark, CR as a line end, `id:` and `event:` lines (openai-clients)."""

_http_status = re.compile(r"HTTP_STATUS/(\d{3})").search


def classify_first_event(
    start: bytes,
    *,
    ended: bool,
    include_usage: bool,
    header: Callable[[str], str | None],
    now_ms: int,
) -> Relaying | None:
    """How to relay a stream that begins with `start`, or None if more of it must be seen.

    `ended` says that no more will come; `header` looks up a header of the answer. Raises the ProxyError that
    Qwen sent in place of a first chunk, or UpstreamBlocked for what is no stream of chat completion chunks.
    """
    events = EventParser().feed(start + b"\n\n" if ended else start)
    if not events:
        if ended or len(start) > LONGEST_START_BYTES:
            raise error_from_response(200, header, start.decode("utf-8", "replace"), now_ms=now_ms)
        return None
    chunk = _chunk(events[0], now_ms)
    if _misread(start) or "\n" in events[0].data or (chunk.get("choices") == [] and not include_usage):
        return "rewritten"
    return "native"


def event_error(event: Event, data: Any, now_ms: int) -> ProxyError | None:
    """The error in an event whose data is the JSON value `data`, or None."""
    status = _http_status(event.comment)
    return error_from_event(data, http_status=int(status.group(1)) if status else None, now_ms=now_ms)


def _chunk(event: Event, now_ms: int) -> dict[str, Any]:
    """The first chunk. Raises ProxyError if the event is something else."""
    try:
        data = json.loads(event.data)
    except ValueError:
        data = None
    error = event_error(event, data, now_ms)
    if error is not None:
        raise error
    if not isinstance(data, dict) or not isinstance(data.get("choices"), list):
        raise UpstreamBlocked(
            "Qwen answered with something that is not a chat completion.", upstream_status=200
        )
    return data
