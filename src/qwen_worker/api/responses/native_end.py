"""How a host's own Responses stream ends: what its last events tell, and what is added if it broke."""

import json
import re
from typing import Any

from qwen_worker.api.responses.failure import response_error
from qwen_worker.errors import ProxyError
from qwen_worker.json_text import parse_object
from qwen_worker.sse import EventParser
from qwen_worker.stream_tail import StreamTail
from qwen_worker.streams.unfinished_json import ending_of_object

KEPT_BYTES = 1_048_576
"""How much of the end of a stream is kept: its last event repeats the request's tools and all output."""

ENDS = ("response.completed", "response.incomplete", "response.failed")

# A quotation mark inside a JSON string is escaped, so these match real keys only, never a model's words.
_end = re.compile(rb'"type"\s*:\s*"response\.(?:completed|incomplete|failed)"').search
_numbers = re.compile(rb'"sequence_number"\s*:\s*(\d+)').findall

_LAST_BLOCKS = 3
"""What may follow the last event: a comment, and the `[DONE]` of hosts that are not Qwen's."""


def has_ended(tail: StreamTail) -> bool:
    """Whether the event that ends a stream went through, whole."""
    blocks = _last_blocks(tail)
    return _is_whole(tail) and any(_end(block) for block in blocks)


def last_response(tail: StreamTail) -> dict[str, Any] | None:
    """The response in the event that ends a stream; None if that has not come, or not to its end."""
    if not _is_whole(tail):
        return None
    blocks = _last_blocks(tail)
    for block in reversed(blocks):
        for event in EventParser().feed(block + b"\n\n"):
            data = parse_object(event.data)
            if data is not None and data.get("type") in ENDS and isinstance(data.get("response"), dict):
                response: dict[str, Any] = data["response"]
                return response
    # Only the last event is so long that its beginning is not kept.
    return {"status": "completed"} if len(blocks) == 1 and len(tail.kept) == KEPT_BYTES else None


def failed_ending(start: bytes, tail: StreamTail, error: ProxyError) -> bytes:
    """`response.failed` for the stream that began with `start` and has said `tail`."""
    numbers = _numbers(tail.kept)
    event = {
        "type": "response.failed",
        "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
        "response": {**_first_response(start), "status": "failed", "error": response_error(error)},
    }
    return _end_of_block(tail.kept) + f"event: response.failed\ndata: {json.dumps(event)}\n\n".encode()


def _first_response(start: bytes) -> dict[str, Any]:
    for event in EventParser().feed(start):
        data = parse_object(event.data)
        response = data.get("response") if data is not None else None
        if isinstance(response, dict):
            return response
    return {"object": "response", "output": []}


def _is_whole(tail: StreamTail) -> bool:
    return tail.kept.endswith((b"\n\n", b"\r\n\r\n"))


def _last_blocks(tail: StreamTail) -> list[bytes]:
    kept = tail.kept.replace(b"\r\n", b"\n") if b"\r" in tail.kept else tail.kept
    return kept.rstrip(b"\n").rsplit(b"\n\n", _LAST_BLOCKS)[-_LAST_BLOCKS:]


def _end_of_block(kept: bytes) -> bytes:
    """What is missing of the blank line that ends an event. Half an object is made a whole one, since clients
    fail to parse it; not the one that ends the stream, which must not be believed.
    """
    if not kept or kept.endswith((b"\n\n", b"\r\n\r\n")):
        return b""
    line = kept[kept.rfind(b"\n") + 1 :]
    if not line:
        return b"\n"
    is_half = line.startswith(b"data:") and not _end(line)
    ending = ending_of_object(line[5:], '"interrupted":true') if is_half else None
    return (ending or b"") + b"\n\n"
