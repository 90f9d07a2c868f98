"""OpenAI's Responses as Qwen's hosts speak them: the answer as a document, or as the events of a stream.

Their quirks (apis-on-the-wire 1.1): each event with `id:` and a comment that tells the status, no `[DONE]`,
reasoning beside its summary, arguments in one piece; what is asked for and not known is echoed and ignored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulator.faults import Fault, ToolCall
from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text, compact
from tests.simulator.reply import Reply, compose

_ECHOED = ("instructions", "metadata", "text", "tools", "tool_choice", "previous_response_id", "include")


@dataclass(frozen=True, slots=True)
class NativeResponse:
    """A Responses request that passed all checks, with the fault that shapes its answer."""

    body: JsonObject
    fault: Fault
    request_id: str

    def json_document(self) -> bytes:
        """Render the answer to a request without a stream."""
        reply = self._reply()
        output = [self._item(index, part) for index, part in enumerate(_parts(reply))]
        return compact(self._response("completed", output, reply)).encode("utf-8", "replace")

    def stream_events(self) -> Iterator[bytes]:
        """Render the events of a stream, one item an event; endless if the fault says so."""
        fault = self.fault
        if fault.raw is not None:
            yield from (event.encode("utf-8", "replace") for event in fault.raw)
            return
        for number, event in enumerate(self._events()):
            if number in (fault.error_event_after, fault.error_data_after, fault.error_finish_after):
                yield self.failed_event(number, *self._error())
                return
            if number == fault.end_after:
                return
            yield self._event(number, event)

    def failed_event(self, number: int, status: int, code: str, message: str) -> bytes:
        """Render the event that ends a stream with an error, whose status is in a comment only."""
        response = self._response("failed", [])
        response["error"] = {"code": code, "message": message}
        return self._event(number, {"type": "response.failed", "response": response}, status)

    def _reply(self) -> Reply:
        return compose(_chat_like(self.body), self.fault)

    def _response(self, status: str, output: list[JsonValue], reply: Reply | None = None) -> JsonObject:
        tokens = 0 if reply is None else len(list(reply.reasoning)) + len(output)
        return {
            "id": f"resp_{self.request_id}",
            "object": "response",
            "created_at": int(time.time()),
            "model": self.body.get("model"),
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": output,
            "usage": None if reply is None else _usage(tokens),
            "parallel_tool_calls": True,
            **{name: self.body[name] for name in _ECHOED if name in self.body},
        }

    def _events(self) -> Iterator[JsonObject]:
        reply = self._reply()
        yield {"type": "response.created", "response": self._response("in_progress", [])}
        yield {"type": "response.in_progress", "response": self._response("in_progress", [])}
        output: list[JsonValue] = []
        for index, part in enumerate(_parts(reply)):
            item = as_object(self._item(index, part))
            yield {"type": "response.output_item.added", "output_index": index, "item": self._empty(item)}
            for event in _item_events(part):
                yield {**event, "item_id": item["id"], "output_index": index}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
            output.append(item)
        if not self.fault.no_finish_reason:
            yield {"type": "response.completed", "response": self._response("completed", output, reply)}

    def _item(self, index: int, part: tuple[str, ...] | ToolCall | list[str]) -> JsonValue:
        if isinstance(part, ToolCall):
            return {
                "id": f"fc_{index}_{self.request_id}",
                "type": "function_call",
                "call_id": f"call_{index}_{self.request_id[:8]}",
                "name": part.name,
                "arguments": part.arguments,
                "status": "completed",
            }
        text = "".join(part)
        if isinstance(part, tuple):
            summary: JsonValue = [{"type": "summary_text", "text": text}]
            return {"id": f"rs_{index}_{self.request_id}", "type": "reasoning", "summary": summary}
        content: JsonValue = [{"type": "output_text", "text": text, "annotations": []}]
        message: JsonObject = {"id": f"msg_{index}_{self.request_id}", "type": "message", "role": "assistant"}
        return {**message, "status": "completed", "content": content}

    def _empty(self, item: JsonObject) -> JsonObject:
        nothing: JsonObject = {"content": [], "summary": [], "arguments": ""}
        return {**item, **{name: nothing[name] for name in nothing if name in item}}

    def _error(self) -> tuple[int, str, str]:
        status, error = self.fault.stream_error()
        return status, as_text(error.get("code")), as_text(error.get("message"))

    def _event(self, number: int, data: JsonObject, status: int = 200) -> bytes:
        kind = as_text(data["type"])
        payload = compact({"sequence_number": number, **data})
        lines = f"id:{number}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:{payload}\n\n"
        return lines.encode("utf-8", "replace")


def _parts(reply: Reply) -> list[tuple[str, ...] | ToolCall | list[str]]:
    """The reasoning (a tuple of deltas), the text (a list of them) and the calls of an answer."""
    text = list(reply.content)
    parts: list[tuple[str, ...] | ToolCall | list[str]] = [reply.reasoning] if reply.reasoning else []
    return [*parts, *([text] if text else []), *reply.tool_calls]


def _item_events(part: tuple[str, ...] | ToolCall | list[str]) -> Iterator[JsonObject]:
    """What comes between an item's first event and its last."""
    if isinstance(part, ToolCall):
        yield {"type": "response.function_call_arguments.done", "arguments": part.arguments}
        return
    if isinstance(part, tuple):
        for delta in part:
            yield {"type": "response.reasoning_text.delta", "content_index": 0, "delta": delta}
        return
    empty: JsonValue = {"type": "output_text", "text": "", "annotations": []}
    yield {"type": "response.content_part.added", "content_index": 0, "part": empty}
    for delta in part:
        yield {"type": "response.output_text.delta", "content_index": 0, "delta": delta, "logprobs": []}
    text = "".join(part)
    whole: JsonValue = {"type": "output_text", "text": text, "annotations": []}
    yield {"type": "response.output_text.done", "content_index": 0, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", "content_index": 0, "part": whole}


def _usage(output_tokens: int) -> JsonObject:
    return {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7 + output_tokens,
    }


def _chat_like(body: JsonObject) -> JsonObject:
    """As much of a request as `compose` looks at, in the words of chat completions."""
    asked = body.get("input")
    message: JsonObject = {"role": "user", "content": asked}
    items: list[JsonValue] = [message] if isinstance(asked, str) else as_list(asked)
    functions = [as_object(tool) for tool in as_list(body.get("tools"))]
    return {
        "model": body.get("model"),
        "messages": [_chat_message(as_object(item)) for item in items],
        "tools": [{"type": "function", "function": tool} for tool in functions],
        "tool_choice": body.get("tool_choice"),
    }


def _chat_message(item: JsonObject) -> JsonObject:
    if item.get("type") == "function_call_output":
        return {"role": "tool", "content": item.get("output")}
    return item
