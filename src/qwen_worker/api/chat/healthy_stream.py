"""A healthy stream, recognised without parsing it: all that most requests need to know of streams.

What is not recognised here is looked at closely by `stream_start` and `stream_end`, loaded only then.
"""

import json
from typing import Any, NamedTuple

from qwen_worker.errors import ProxyError

DONE = b"data: [DONE]\n\n"

KEPT_BYTES = 32_768
"""How much of the end of a stream is kept."""

_LAST_EVENTS_BYTES = 4096
"""The finish reason, the usage and `[DONE]` are usually not longer."""


class StreamTail:
    """The end of a stream so far. Of a completion nothing else is kept."""

    __slots__ = ("kept", "size_bytes")

    def __init__(self) -> None:
        self.kept = b""
        self.size_bytes = 0

    def feed(self, data: bytes) -> None:
        """Notes the next bytes that went to the client."""
        self.size_bytes += len(data)
        self.kept = (self.kept + data)[-KEPT_BYTES:] if len(data) < KEPT_BYTES else data[-KEPT_BYTES:]

    @property
    def is_done(self) -> bool:
        """Whether `[DONE]` went through, and nothing after it."""
        return self.kept[-16:].rstrip().endswith((b"data: [DONE]", b"data:[DONE]"))


class StreamEnd(NamedTuple):
    """What became of a stream."""

    closing: bytes
    """What must still be sent so that the stream ends as clients expect it."""
    error: ProxyError | None
    """Why the stream is not a whole completion, if it is not."""
    finish_reason: str | None
    usage: dict[str, Any] | None
    """Qwen's token counts, if they came."""


def is_healthy_start(start: bytes) -> bool:
    """Whether a stream begins with a chunk that has a choice and no error, framed as all clients read it."""
    first, blank_line, _ = start.partition(b"\n\n")
    return (
        bool(blank_line)
        and first.startswith((b"data: {", b"data:{"))
        and first.endswith(b"}")
        and b'"choices":[{' in first
        and b'"error' not in first
        and b"\n" not in first
        and b"\r" not in first
    )


def healthy_end(tail: StreamTail) -> StreamEnd | None:
    """The end that nearly every stream has: a finish reason, perhaps the usage, `[DONE]`. None for any other.

    A quotation mark inside a JSON string is escaped, so what is searched for are keys, never a model's words.
    """
    if not tail.kept.endswith(b"\n\n" + DONE):
        return None
    last = tail.kept[-_LAST_EVENTS_BYTES:]
    _, key, rest = last.rpartition(b'"finish_reason":"')
    if not key or b'"error' in last:
        return None
    usage = None
    start = last.rfind(b'"usage":{')
    if start >= 0:
        start = last.rfind(b"\n", 0, start) + 1
        try:
            usage = json.loads(last[start : last.index(b"\n", start)].removeprefix(b"data:"))["usage"]
        except (ValueError, KeyError):
            return None
    return StreamEnd(b"", None, rest[: rest.index(b'"')].decode("ascii", "replace"), usage)
