"""The Responses API as a wire format."""

from typing import Any

from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.api.responses.stream import ResponsesTranslator
from qwen_worker.dialect import Completion, EventError, Relaying, StreamEnd
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated, UpstreamBlocked
from qwen_worker.json_text import parse_object
from qwen_worker.sse import Event
from qwen_worker.stream_tail import StreamTail

_COMMENT = b": keep-alive\n\n"


class ResponsesDialect:
    """Implements `dialect.Dialect`, for one request: its translator knows what the client has been told.

    `may_be_native`: a host may answer that speaks the API itself.
    """

    __slots__ = ("_may_be_native", "_start", "_translator")

    def __init__(self, translator: ResponsesTranslator, *, may_be_native: bool = False) -> None:
        self._translator = translator
        self._may_be_native = may_be_native
        self._start = b""
        """What a native stream has begun with."""

    def error_body(self, error: ProxyError, request_id: str) -> str:
        """OpenAI's envelope."""
        return openai_error_body(error)

    def error_ending(self, error: ProxyError) -> bytes:
        """`response.failed`: Codex passes over a bare `error` event (apis-on-the-wire 3.1)."""
        return self._translator.end(error)

    def keep_alive(self) -> bytes:
        """`response.in_progress`: comments do not hold Codex's timer.

        Before a native stream it is a comment, since that stream begins with a `response.created` of its own,
        with another id and other numbers.
        """
        return _COMMENT if self._may_be_native else self._translator.keep_alive()

    # --- of a host that speaks it

    def is_healthy_start(self, start: bytes) -> bool:
        """Whether a stream begins with `response.created`."""
        first, blank_line, _ = start.partition(b"\n\n")
        self._start = start
        return bool(blank_line) and b'"type":"response.created"' in first and b'"error":{' not in first

    def classify_first_event(self, event: Event, start: bytes, event_error: EventError) -> Relaying | None:
        """Qwen hides errors in a 200 stream whose first event is `response.failed`. Raises ProxyError."""
        self._start = start
        data = parse_object(event.data)
        response = data.get("response") if data is not None else None
        if isinstance(response, dict) and response.get("error"):
            data = {"error": response["error"], "request_id": response.get("id")}
        error = event_error(event, data)
        if error is not None:
            raise error
        if data is None or not str(data.get("type", event.name)).startswith("response."):
            raise UpstreamBlocked("Qwen answered with something that is not a response.", upstream_status=200)
        return "native"

    def is_done(self, tail: StreamTail) -> bool:
        """Whether the last event has come: Qwen sends no `[DONE]`."""
        from qwen_worker.api.responses.native_end import has_ended

        return has_ended(tail)

    def end_of_stream(
        self, tail: StreamTail, failure: ProxyError | None, event_error: EventError
    ) -> StreamEnd:
        """How to end a stream that went to the client as it came."""
        from qwen_worker.api.responses.native_end import failed_ending, last_response

        response = last_response(tail)
        if response is None:
            error = failure or StreamTruncated("Qwen's stream ended before the response was finished.")
            return StreamEnd(failed_ending(self._start, tail, error), Completion(error))
        usage = response.get("usage")
        failed = response.get("status") == "failed"
        return StreamEnd(
            b"",
            Completion(
                StreamFailed("Qwen could not finish the response.") if failed else None,
                str(response.get("status")),
                usage if isinstance(usage, dict) else None,
            ),
        )

    def completion_of(self, answer: Any) -> Completion | None:
        """What a whole response tells; None for what is no response, or a failed one."""
        if not isinstance(answer, dict) or answer.get("object") != "response" or answer.get("error"):
            return None
        usage = answer.get("usage")
        return Completion(None, str(answer.get("status")), usage if isinstance(usage, dict) else None)
