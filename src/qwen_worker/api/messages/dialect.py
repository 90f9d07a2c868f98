"""Anthropic's Messages as a wire format."""

from typing import Any

from qwen_worker.api.messages.errors import error_body, error_event
from qwen_worker.api.messages.stream import PING
from qwen_worker.dialect import Completion, EventError, Relaying, StreamEnd
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated, UpstreamBlocked
from qwen_worker.json_text import parse_object
from qwen_worker.sse import Event, EventParser
from qwen_worker.stream_tail import StreamTail

_LAST_EVENTS_BYTES = 4096
"""`message_delta` and `message_stop` are not longer."""


class MessagesDialect:
    """Implements `dialect.Dialect`. `request_id` is this gateway's, which error bodies repeat."""

    __slots__ = ("_request_id",)

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def error_body(self, error: ProxyError, request_id: str) -> str:
        """Anthropic's envelope."""
        return error_body(error, request_id)

    def error_ending(self, error: ProxyError) -> bytes:
        """An `error` event: nothing follows it."""
        return error_event(error, self._request_id)

    def keep_alive(self) -> bytes:
        """A `ping`, which may come before `message_start` too."""
        return PING

    # --- of a host that speaks it

    def is_healthy_start(self, start: bytes) -> bool:
        """Whether a stream begins with `message_start`."""
        first, blank_line, _ = start.partition(b"\n\n")
        return bool(blank_line) and first.startswith(b"event: message_start\ndata:") and b"\r" not in first

    def classify_first_event(self, event: Event, start: bytes, event_error: EventError) -> Relaying | None:
        """Qwen's `error` events hold a flat body. A `ping` says nothing yet. Raises ProxyError."""
        data = parse_object(event.data)
        kind = data.get("type", event.name) if data is not None else event.name
        if kind == "ping":
            return None
        if kind == "error" or event.name == "error":
            raise event_error(event, data) or StreamFailed("Qwen reported an error without saying which.")
        if kind != "message_start":
            error = event_error(event, data)
            raise error or UpstreamBlocked(
                "Qwen answered with something that is not a message.", upstream_status=200
            )
        return "native"

    def is_done(self, tail: StreamTail) -> bool:
        """Whether `message_stop` went through."""
        end = tail.kept[-256:].rstrip()
        return end.endswith(b"}") and b'"message_stop"' in end

    def end_of_stream(
        self, tail: StreamTail, failure: ProxyError | None, event_error: EventError
    ) -> StreamEnd:
        """How to end a stream that went to the client as it came.

        A stop reason makes a message whole, also for clients: a missing `message_stop` is added.
        """
        stop_reason, usage, error, is_stopped = _last_words(tail, event_error)
        if error is None and stop_reason is None and not is_stopped:
            error = failure or StreamTruncated("Qwen's stream ended before the message was finished.")
        if error is not None:
            return StreamEnd(_end_of_block(tail) + self.error_ending(error), Completion(error, None, usage))
        closing = b"" if is_stopped else _end_of_block(tail) + _MESSAGE_STOP
        return StreamEnd(closing, Completion(None, stop_reason, usage))

    def completion_of(self, answer: Any) -> Completion | None:
        """What became of a whole message; None if it is no message."""
        if not isinstance(answer, dict) or answer.get("type") != "message":
            return None
        usage, reason = answer.get("usage"), answer.get("stop_reason")
        return Completion(
            None, reason if isinstance(reason, str) else None, usage if isinstance(usage, dict) else None
        )


_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def _last_words(
    tail: StreamTail, event_error: EventError
) -> tuple[str | None, dict[str, Any] | None, ProxyError | None, bool]:
    """Of the last events: the stop reason, the usage, an error, and whether the message has stopped."""
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: ProxyError | None = None
    is_stopped = False
    last = tail.kept[-_LAST_EVENTS_BYTES:]
    for event in EventParser().feed(last[last.find(b"\n\n") + 2 if len(tail.kept) > len(last) else 0 :]):
        data = parse_object(event.data)
        if data is None:
            continue
        kind = data.get("type", event.name)
        if kind == "message_delta":
            delta = data.get("delta")
            reason = delta.get("stop_reason") if isinstance(delta, dict) else None
            stop_reason = reason if isinstance(reason, str) else stop_reason
            usage = data["usage"] if isinstance(data.get("usage"), dict) else usage
        elif kind == "message_stop":
            is_stopped = True
        elif kind == "error" or event.name == "error":
            reported = event_error(event, data)
            error = StreamFailed(
                reported.message if reported is not None else "Qwen reported an error.",
                upstream_request_id=None if reported is None else reported.upstream_request_id,
            )
    return stop_reason, usage, error, is_stopped


def _end_of_block(tail: StreamTail) -> bytes:
    """What is missing of the blank line that ends an event: one that was cut off is no event then."""
    if not tail.kept or tail.kept.endswith(b"\n\n"):
        return b""
    return b"\n" if tail.kept.endswith(b"\n") else b"\n\n"
