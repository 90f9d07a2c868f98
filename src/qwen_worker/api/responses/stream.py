"""A stream of chat completion chunks as a stream of the Responses API's events.

    response.created, response.in_progress
    for each item: response.output_item.added, its parts and deltas, response.output_item.done
    response.completed, response.incomplete or response.failed, with the whole output

Deltas that arrive together go out as one event. A stream that is not whole is never `completed`, and nothing
is closed that was cut off.
"""

from collections.abc import Callable
from typing import Any

from qwen_worker.api.responses.answer import (
    calls_of,
    incomplete_reason,
    logprobs_of,
    reasoning_of,
    response_head,
    text_of,
    usage_of,
    whole_response,
)
from qwen_worker.api.responses.failure import response_error
from qwen_worker.api.responses.item_ids import Ids
from qwen_worker.api.responses.request import Asked
from qwen_worker.api.responses.stream_items import Events, dumps
from qwen_worker.api.responses.stream_output import StreamOutput
from qwen_worker.delta_pattern import DeltaPattern
from qwen_worker.dialect import EventError
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated
from qwen_worker.json_text import parse_object
from qwen_worker.sse import Event, EventParser


class ResponsesTranslator:
    """The translator for one request; see `Translator`.

    `model` is the one that was asked for, `random_hex` gives at least 24 random hexadecimal digits.
    `refers_back` says that the client will send references to what it got in this stream, unless it has said
    `store: false`: then a last item carries the texts (see `item_ids`).
    """

    def __init__(
        self,
        asked: Asked,
        *,
        model: str,
        random_hex: Callable[[], str],
        now_ms: Callable[[], int],
        event_error: EventError,
        refers_back: bool = False,
    ) -> None:
        self._asked = asked
        self._model = model
        self._ids = Ids(random_hex())
        self._now_ms = now_ms
        self._event_error = event_error
        self._adds_carrier = refers_back and asked.carries_texts
        self._parser = EventParser()
        self._usual = DeltaPattern()
        self._events = Events()
        self._output = StreamOutput(self._events, self._ids, asked.tools)
        self._head: dict[str, Any] | None = None
        self._echo = self._begun = ""
        self._has_begun = False
        self._failure: ProxyError | None = None
        self.is_over = False
        """Whether nothing more of the host's may follow: it has sent `[DONE]` or an error."""
        self.error: ProxyError | None = None
        """Why the response failed; valid after `end`."""
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None

    def get_ready(self) -> None:
        """Spells what the stream begins with. May be called beforehand, when there is the time."""
        if self._head is None:
            self._head = response_head(self._ids.response, self._model, self._now_ms())
            self._echo = dumps(self._asked.echo)[1:]
            self._begun = f'"response":{self._response(self._head)}'

    def keep_alive(self) -> bytes:
        """What to send while the host is silent. Comments do not hold Codex's timer, this event does."""
        if self._has_begun:
            self._add_in_progress()
        else:
            self._start()
        return self._events.take()

    def feed(self, data: bytes) -> bytes:
        """What to send when `data` has arrived; may be empty."""
        if not self.is_over:
            self._read(data)
            self._output.flush()
        return self._events.take()

    def end(self, failure: ProxyError | None) -> bytes:
        """What ends the stream. `failure` is what ended it, None if the host did.

        A failure after the finish reason does no harm: only the usage can be missing.
        """
        if not self.is_over:
            self._read(b"\n\n", is_cut_off=True)
        if not self._has_begun:
            self._start()
        if self._failure is None and self.finish_reason is None:
            self._failure = failure or StreamTruncated(
                "Qwen's stream ended before the completion was finished."
            )
            self.error = self._failure
        if self._failure is not None:
            self._add_end("failed", self._output.abandon(), error=response_error(self._failure))
        else:
            self._end_well()
        return self._events.take()

    def whole(self, completion: dict[str, Any]) -> dict[str, Any]:
        """The whole response for a whole chat completion."""
        return whole_response(
            completion, self._asked, ids=self._ids, model=self._model, now_ms=self._now_ms()
        )

    def _end_well(self) -> None:
        reason = incomplete_reason(self.finish_reason)
        items = self._output.finish() if reason is None else self._output.cut()
        if self._adds_carrier:
            self._output.add_carrier()
        if reason is None:
            self._add_end("completed", items, completed_at=self._now_ms() // 1000)
        else:
            self._add_end("incomplete", items, incomplete_details={"reason": reason})

    # --- the host's chunks

    def _read(self, data: bytes, *, is_cut_off: bool = False) -> None:
        """With `is_cut_off`, an event that is no JSON is ignored: it was not sent to its end."""
        usual, data = self._usual.text_of_events(self._parser, data)
        self._take_text(usual)
        for event in self._parser.feed(data):
            text = None if event.name or event.comment else self._usual.text_of(event.data)
            if text is not None:
                self._take_text(text)
            elif event.data.startswith("[DONE]"):
                self.is_over = True
            else:
                chunk = parse_object(event.data)
                if chunk is not None:
                    self._take(event, chunk)
                elif not is_cut_off:
                    self._fail(StreamFailed("Qwen sent something that is not a chat completion chunk."))
            if self.is_over:
                return

    def _take(self, event: Event, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        finish_reason = choice.get("finish_reason") if isinstance(choice, dict) else None
        if choices is None or finish_reason == "error_finish" or event.comment or "error" in chunk:
            error = self._event_error(event, chunk)
            if error is not None:
                self._fail(error)
                return
        if not self._has_begun:
            self._start()
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        if not isinstance(choice, dict) or choice.get("index"):
            return
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._take_delta(delta, choice)
            self._usual.learn(event.data, chunk)
        if finish_reason:
            self.finish_reason = str(finish_reason)

    def _take_text(self, text: str) -> None:
        """A chunk with nothing but more text in it."""
        if not text:
            return
        if self._usual.field == "content":
            self._output.add_text(text)
        else:
            self._output.add_reasoning(text)

    def _take_delta(self, delta: dict[str, Any], choice: dict[str, Any]) -> None:
        output = self._output
        content = delta.get("content")
        if len(delta) == 1 and isinstance(content, str) and not choice.get("logprobs"):
            # What nearly every chunk is.
            if content:
                output.add_text(content)
            return
        reasoning = reasoning_of(delta)
        if reasoning:
            output.add_reasoning(reasoning)
        text = text_of(content)
        if text:
            output.add_text(text, "output_text", logprobs_of(choice))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            output.add_text(refusal, "refusal")
        for call in calls_of(delta):
            output.add_call(call)

    def _fail(self, error: ProxyError) -> None:
        self._failure = error
        self.error = StreamFailed(error.message, upstream_request_id=error.upstream_request_id)
        self.is_over = True

    # --- the response around the items

    def _start(self) -> None:
        self.get_ready()
        self._has_begun = True
        self._events.add("response.created", self._begun)
        self._add_in_progress()

    def _add_in_progress(self) -> None:
        self._events.add("response.in_progress", self._begun)

    def _add_end(self, status: str, items: list[str], **fields: Any) -> None:
        ended = {**(self._head or {}), "status": status, "usage": usage_of(self.usage), **fields}
        del ended["output"]
        output = f'"output":[{",".join(items)}],'
        self._events.add(f"response.{status}", f'"response":{self._response(ended, output)}')

    def _response(self, fields: dict[str, Any], output: str = "") -> str:
        """The response as JSON. The echoed parameters, which can be long, are spelled once for all events."""
        return f"{dumps(fields)[:-1]},{output}{self._echo}"
