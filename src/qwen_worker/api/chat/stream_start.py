"""Examines the beginning of a stream of chat completion chunks that does not look healthy."""

import re
from typing import TYPE_CHECKING

from qwen_worker.api.chat.chunk_repairs import ChunkRepairs
from qwen_worker.dialect import EventError, Relaying
from qwen_worker.errors import UpstreamBlocked
from qwen_worker.json_text import JsonTextError, parse

if TYPE_CHECKING:
    from qwen_worker.sse import Event

_misread = re.compile(rb"\A\xef\xbb\xbf|\r(?!\n|\Z)|^(?:id|event)\b", re.MULTILINE).search
"""What clients misread: a byte order mark, CR as a line end, `id:` and `event:` lines (openai-clients)."""


def classify_first_event(
    event: "Event",
    start: bytes,
    event_error: EventError,
    *,
    include_usage: bool,
) -> Relaying:
    """How to relay a stream whose first event is `event`, and whose bytes so far are `start`.

    Raises the ProxyError that Qwen sent in place of a first chunk, or UpstreamBlocked for what is no chunk.
    """
    try:
        chunk = parse(event.data)
    except JsonTextError:
        chunk = None
    error = event_error(event, chunk)
    if error is not None:
        raise error
    if not isinstance(chunk, dict) or not isinstance(chunk.get("choices"), list):
        raise UpstreamBlocked(
            "Qwen answered with something that is not a chat completion.", upstream_status=200
        )
    # An oddity of the first chunk goes on to the end.
    is_unasked_usage = chunk["choices"] == [] and not include_usage
    if _misread(start) or "\n" in event.data or is_unasked_usage or ChunkRepairs().apply(chunk):
        return "repaired"
    return "native"
