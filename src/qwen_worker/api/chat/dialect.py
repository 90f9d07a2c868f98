"""Chat completions as a wire format: its errors, its keep-alive, how its streams begin and end.

This module recognises healthy streams without parsing them, which is enough for most requests. `stream_start`
and `stream_end` examine all others, and are loaded only then.
"""

from typing import TYPE_CHECKING, Any

from qwen_worker.api.chat.events import DONE, KEEP_ALIVE, error_event
from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.dialect import Completion, EventError, Relaying, StreamEnd
from qwen_worker.errors import ProxyError
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.stream_tail import StreamTail

if TYPE_CHECKING:
    from qwen_worker.sse import Event

_LAST_EVENTS_BYTES = 4096
"""The finish reason, the usage and `[DONE]` usually fit into this."""


class ChatDialect:
    """Implements `dialect.Dialect`. `include_usage`: the client asked for a last chunk with the usage."""

    __slots__ = ("_include_usage",)

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage

    def error_body(self, error: ProxyError, request_id: str) -> str:
        """OpenAI's envelope; the id is in the header `x-request-id` only."""
        return openai_error_body(error)

    def error_ending(self, error: ProxyError) -> bytes:
        """An error event and `[DONE]`."""
        return error_event(error) + DONE

    def keep_alive(self) -> bytes:
        """A comment: every other event breaks some client (openai-clients, Streams)."""
        return KEEP_ALIVE

    def is_healthy_start(self, start: bytes) -> bool:
        """Whether a stream begins with a chunk that has a choice and no error, framed as all clients read
        it.
        """
        first, blank_line, _ = start.partition(b"\n\n")
        return (
            bool(blank_line)
            and first.startswith((b"data: {", b"data:{"))
            and first.endswith(b"}")
            and b'"choices":[{' in first
            and b'"error' not in first
            and b'"finish_reason":""' not in first
            and b'"tool_calls":[' not in first
            and b"\n" not in first
            and b"\r" not in first
        )

    def classify_first_event(self, event: "Event", start: bytes, event_error: EventError) -> Relaying:
        """How to relay a stream that begins with this event. Raises ProxyError for an error or no chunk."""
        from qwen_worker.api.chat.stream_start import classify_first_event

        return classify_first_event(event, start, event_error, include_usage=self._include_usage)

    def is_done(self, tail: StreamTail) -> bool:
        """Whether `[DONE]` went through, and nothing after it."""
        return tail.kept[-16:].rstrip().endswith((b"data: [DONE]", b"data:[DONE]"))

    def end_of_stream(
        self,
        tail: StreamTail,
        failure: ProxyError | None,
        event_error: EventError,
    ) -> StreamEnd:
        """How to end a stream that went to the client as it came."""
        end = _healthy_end(tail) if failure is None else None
        if end is None:
            from qwen_worker.api.chat.stream_end import end_of_stream

            end = end_of_stream(tail, failure, event_error, is_done=self.is_done(tail))
        return end

    def completion_of(self, answer: Any) -> Completion | None:
        """What became of a chat completion; None if it has no choices."""
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or not choices or answer.get("error"):
            return None
        for choice in choices:
            if not isinstance(choice, dict) or choice.get("finish_reason") == "error_finish":
                return None
        usage, reason = answer.get("usage"), choices[0].get("finish_reason")
        return Completion(
            None, reason if isinstance(reason, str) else None, usage if isinstance(usage, dict) else None
        )


def _healthy_end(tail: StreamTail) -> StreamEnd | None:
    """The end that nearly every stream has: a finish reason, perhaps the usage, `[DONE]`. None for any other.

    A quotation mark inside a JSON string is escaped, so this search finds keys, never a model's words.
    """
    if not tail.kept.endswith(b"\n\n" + DONE):
        return None
    last = tail.kept[-_LAST_EVENTS_BYTES:]
    _, key, rest = last.rpartition(b'"finish_reason":"')
    if not key or b'"error' in last or b'"code":' in last or rest.startswith((b'"', b"error_finish")):
        return None
    usage = None
    start = last.rfind(b'"usage":{')
    if start >= 0:
        start = last.rfind(b"\n", 0, start) + 1
        try:
            usage = parse(last[start : last.index(b"\n", start)].removeprefix(b"data:"))["usage"]
        except (JsonTextError, ValueError, KeyError, TypeError):
            return None
    reason = rest[: rest.index(b'"')].decode("ascii", "replace")
    return StreamEnd(b"", Completion(None, reason, usage if isinstance(usage, dict) else None))
