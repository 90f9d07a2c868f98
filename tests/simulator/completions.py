"""Chat completions as bytes: one JSON document, or the events of a stream."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonObject, JsonValue, as_object, compact
from tests.simulator.reply import Reply, compose, usage_of
from tests.simulator.sse import BYTE_ORDER_MARK, Framing

_ARGUMENTS_FRAGMENT = 12


@dataclass(frozen=True, slots=True)
class Completion:
    """A chat request that passed all checks, with the fault that shapes its answer."""

    body: JsonObject
    fault: Fault
    request_id: str

    def json_document(self) -> bytes:
        """Render the answer to a request without a stream."""
        choices: list[JsonValue] = []
        tokens = 0
        for index in range(self._count):
            reply = compose(self.body, self.fault)
            content = list(reply.content)
            tokens += len(content) + len(reply.tool_calls)
            choices.append(self._choice(index, reply, "".join(content)))
        document: JsonObject = {**self._envelope("chat.completion"), "choices": choices}
        if not self.fault.no_usage:
            document["usage"] = usage_of(self.body, tokens)
        return compact(document).encode("utf-8", "replace")

    def stream_events(self) -> Iterator[bytes]:
        """Render the events of a stream, one item an event; endless if the fault says so.

        Ends where the fault's errors or `end_after` end it. `chat_endpoint.py` cuts the connection.
        """
        fault = self.fault
        if fault.raw is not None:
            yield from (event.encode("utf-8", "replace") for event in fault.raw)
            return
        framing = Framing(
            newline=fault.newline,
            space=not fault.no_space,
            id_lines=fault.id_lines,
            event_lines=fault.event_lines,
            comment_every=fault.comment_every,
        )
        payloads: Iterator[str | None] = itertools.chain(self._payloads(), (None,))
        for number, payload in enumerate(payloads):
            error = self._stream_error(number, framing, at_end=payload is None)
            if error is not None:
                yield self._marked(error, number)
                if fault.done_after_error:
                    yield framing.event("[DONE]", number + 1)
                return
            if payload is None or number == fault.end_after:
                return
            yield self._marked(framing.event(payload, number), number)

    @property
    def _count(self) -> int:
        count = self.body.get("n")
        return count if isinstance(count, int) else 1

    def _marked(self, event: bytes, number: int) -> bytes:
        return BYTE_ORDER_MARK + event if self.fault.bom and number == 0 else event

    def _envelope(self, kind: str) -> JsonObject:
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": kind,
            "created": int(time.time()),
            "model": self.body.get("model"),
        }

    def _choice(self, index: int, reply: Reply, content: str) -> JsonObject:
        message: JsonObject = {"role": "assistant", "content": content}
        if reply.reasoning:
            message["reasoning_content"] = "".join(reply.reasoning)
        if reply.tool_calls:
            message["tool_calls"] = [
                {
                    "index": position,
                    "id": self._call_id(index, position),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for position, call in enumerate(reply.tool_calls)
            ]
        finish_reason = None if self.fault.no_finish_reason else reply.finish_reason
        return {"index": index, "message": message, "finish_reason": finish_reason, "logprobs": None}

    def _call_id(self, index: int, position: int) -> str:
        return f"call_{index}_{position}_{self.request_id[:8]}"

    def _payloads(self) -> Iterator[str]:
        """Yield the data of each event of a stream that no error ends."""
        render = self._chunk_renderer()
        tokens = 0
        finish_reasons: list[str] = []
        for index in range(self._count):
            reply = compose(self.body, self.fault)
            finish_reasons.append(reply.finish_reason)
            for delta in self._deltas(index, reply):
                tokens += 1
                yield render(index, compact(delta), "null")
        if not self.fault.no_finish_reason:
            for index, finish_reason in enumerate(finish_reasons):
                yield render(index, "{}", compact(finish_reason))
        if self._wants_usage:
            tail: JsonObject = {**self._envelope("chat.completion.chunk"), "choices": []}
            tail["usage"] = usage_of(self.body, tokens)
            yield compact(tail, indent=1 if self.fault.multi_line else None)
        if not self.fault.no_done:
            yield "[DONE]"

    @property
    def _wants_usage(self) -> bool:
        asked = as_object(self.body.get("stream_options")).get("include_usage") is True
        return (asked or self.fault.always_usage) and not self.fault.no_usage

    def _chunk_renderer(self) -> _ChunkRenderer:
        return _ChunkRenderer(self._envelope("chat.completion.chunk"), multi_line=self.fault.multi_line)

    def _deltas(self, index: int, reply: Reply) -> Iterator[JsonObject]:
        yield {"role": "assistant", "content": ""}
        for text in reply.reasoning:
            yield {"content": None, "reasoning_content": text}
        so_far = ""
        for text in reply.content:
            so_far = so_far + text if self.fault.cumulative else text
            yield {"content": so_far}
        for position, call in enumerate(reply.tool_calls):
            call_id = self._call_id(index, position)
            function: JsonObject = {"name": call.name, "arguments": ""}
            first: JsonObject = {"id": call_id, "type": "function", "function": function}
            yield {"content": None, "tool_calls": [self._indexed(position, first)]}
            for start in range(0, len(call.arguments), _ARGUMENTS_FRAGMENT):
                fragment: JsonObject = {"arguments": call.arguments[start : start + _ARGUMENTS_FRAGMENT]}
                later: JsonObject = {"function": fragment}
                if self.fault.null_tool_names:
                    fragment = {"name": None, **fragment}
                    later = {"id": "", "type": "function", "function": fragment}
                yield {"tool_calls": [self._indexed(position, later)]}

    def _indexed(self, position: int, call: JsonObject) -> JsonObject:
        if self.fault.tool_index == "omitted":
            return call
        return {"index": 0 if self.fault.tool_index == "zero" else position, **call}

    def _stream_error(self, number: int, framing: Framing, *, at_end: bool) -> bytes | None:
        """Render the error due before event `number`, if any; at the end, one whose place never came."""

        def due(place: int | None) -> bool:
            return place is not None and (at_end or number == place)

        fault = self.fault
        if due(fault.error_event_after):
            status, error = fault.stream_error()
            flat = {"request_id": self.request_id, "code": error["code"], "message": error["message"]}
            return framing.flat_error(status, compact(flat))
        if due(fault.error_data_after):
            _, error = fault.stream_error()
            return framing.event(compact({"error": error, "request_id": self.request_id}), number)
        if due(fault.error_finish_after):
            status, error = fault.stream_error()
            detail: JsonObject = {"code": str(status), "type": error["code"], "message": error["message"]}
            text = fault.error_text if fault.error_text is not None else compact({"error": detail})
            render = self._chunk_renderer()
            return framing.event(render(0, compact({"content": text}), '"error_finish"'), number)
        return None


class _ChunkRenderer:
    """Renders the chunks of one stream. What they share is rendered once: a stream may have thousands."""

    def __init__(self, envelope: JsonObject, *, multi_line: bool) -> None:
        self._multi_line = multi_line
        self._head = compact(envelope)[:-1] + ',"choices":[{"index":'

    def __call__(self, index: int, delta_json: str, finish_reason_json: str) -> str:
        rest = f'"delta":{delta_json},"finish_reason":{finish_reason_json},"logprobs":null}}]}}'
        chunk = f"{self._head}{index},{rest}"
        return compact(json.loads(chunk), indent=1) if self._multi_line else chunk
