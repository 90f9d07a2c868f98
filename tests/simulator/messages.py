"""Anthropic's Messages as Qwen's hosts speak them: the answer as a document, or as the events of a stream.

Their quirks (apis-on-the-wire 1.2): `ping` before `message_start`, which tells two token counts only, the
rest of them in `message_delta`; thinking with an empty signature; flat errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.simulator.faults import Fault, ToolCall
from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text, compact
from tests.simulator.reply import Reply, compose

_FRAGMENT = 12
_STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
_COUNTED_CHARACTERS = 4


def counted_tokens(body: JsonObject) -> int:
    """The tokens of a prompt as this host counts them: four characters are one."""
    counted = {name: body.get(name) for name in ("system", "messages", "tools")}
    return len(compact(counted)) // _COUNTED_CHARACTERS


def flat_error(code: str, message: str, request_id: str) -> JsonObject:
    """An error as these hosts word it."""
    return {"code": code, "message": message, "request_id": request_id}


def flattened(fault: Fault, request_id: str) -> Fault:
    """The fault with its error, if it has one in OpenAI's envelope, in a flat body."""
    error = as_object(as_object(fault.body).get("error"))
    if not error:
        return fault
    code = as_text(error.get("code")) or "InvalidParameter"
    flat = flat_error(code, as_text(error.get("message")), request_id)
    return fault.model_copy(update={"body": flat})


@dataclass(frozen=True, slots=True)
class Message:
    """A Messages request that passed all checks, with the fault that shapes its answer."""

    body: JsonObject
    fault: Fault
    request_id: str

    def json_document(self) -> bytes:
        """Render the answer to a request without a stream."""
        reply = self._reply()
        content: list[JsonValue] = []
        if reply.reasoning:
            thinking = "".join(reply.reasoning)
            content.append({"type": "thinking", "thinking": thinking, "signature": ""})
        texts = list(reply.content)
        if texts:
            content.append({"type": "text", "text": "".join(texts)})
        content += [
            {**self._tool_use(position, call), "input": _arguments(call)}
            for position, call in enumerate(reply.tool_calls)
        ]
        tokens = len(texts) + len(reply.reasoning) + len(reply.tool_calls)
        document = {
            **self._envelope(),
            "content": content,
            "stop_reason": self._stop_reason(reply),
            "usage": self._usage(tokens),
        }
        return compact(document).encode("utf-8", "replace")

    def stream_events(self) -> Iterator[bytes]:
        """Render the events of a stream, one item an event; endless if the fault says so."""
        fault = self.fault
        if fault.raw is not None:
            yield from (event.encode("utf-8", "replace") for event in fault.raw)
            return
        for number, event in enumerate(self._events()):
            if number in (fault.error_event_after, fault.error_data_after, fault.error_finish_after):
                yield self._event({"type": "error", **self._error()})
                return
            if number == fault.end_after:
                return
            yield self._event(event)

    def _reply(self) -> Reply:
        return compose(chat_like(self.body), self.fault)

    def _envelope(self) -> JsonObject:
        return {
            "id": f"msg_{self.request_id}",
            "type": "message",
            "role": "assistant",
            "model": self.body.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _stop_reason(self, reply: Reply) -> str | None:
        if self.fault.no_finish_reason:
            return None
        return _STOP_REASONS.get(reply.finish_reason, reply.finish_reason)

    def _usage(self, output_tokens: int) -> JsonObject:
        return {
            "input_tokens": counted_tokens(self.body),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def _tool_use(self, position: int, call: ToolCall) -> JsonObject:
        call_id = f"call_{position}_{self.request_id[:8]}"
        return {"type": "tool_use", "id": call_id, "name": call.name, "input": {}}

    def _events(self) -> Iterator[JsonObject]:
        reply = self._reply()
        yield {"type": "ping"}
        yield {
            "type": "message_start",
            "message": {**self._envelope(), "usage": {"input_tokens": 0, "output_tokens": 0}},
        }
        index = tokens = 0
        for block, deltas in self._blocks(reply):
            is_begun = False
            for delta in deltas:
                if not is_begun:
                    yield {"type": "content_block_start", "index": index, "content_block": block}
                    is_begun = True
                tokens += 1
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            if is_begun:
                yield {"type": "content_block_stop", "index": index}
                index += 1
        if not self.fault.no_finish_reason:
            end: JsonObject = {"stop_reason": self._stop_reason(reply), "stop_sequence": None}
            yield {"type": "message_delta", "delta": end, "usage": self._usage(tokens)}
        if not self.fault.no_done:
            yield {"type": "message_stop"}

    def _blocks(self, reply: Reply) -> Iterator[tuple[JsonObject, Iterable[JsonObject]]]:
        """Each block as it starts, and its deltas."""
        yield (
            {"type": "thinking", "thinking": "", "signature": ""},
            ({"type": "thinking_delta", "thinking": text} for text in reply.reasoning),
        )
        yield {"type": "text", "text": ""}, ({"type": "text_delta", "text": text} for text in reply.content)
        for position, call in enumerate(reply.tool_calls):
            fragments = range(0, len(call.arguments), _FRAGMENT)
            yield (
                self._tool_use(position, call),
                (
                    {"type": "input_json_delta", "partial_json": call.arguments[start : start + _FRAGMENT]}
                    for start in fragments
                ),
            )

    def _error(self) -> JsonObject:
        _, error = self.fault.stream_error()
        return flat_error(as_text(error.get("code")), as_text(error.get("message")), self.request_id)

    def _event(self, data: JsonObject) -> bytes:
        kind = as_text(data["type"])
        payload = {name: value for name, value in data.items() if kind != "error" or name != "type"}
        space = "" if self.fault.no_space else " "
        number = f"id:{kind}\n" if self.fault.id_lines else ""
        return f"{number}event:{space}{kind}\ndata:{space}{compact(payload)}\n\n".encode("utf-8", "replace")


def chat_like(body: JsonObject) -> JsonObject:
    """As much of a request as `compose` looks at, in the words of chat completions."""
    chat: JsonObject = {
        name: body[name] for name in ("model", "max_tokens", "stream") if body.get(name) is not None
    }
    chat["messages"] = [_chat_message(as_object(message)) for message in as_list(body.get("messages"))]
    chat["tools"] = [
        {"type": "function", "function": {"name": tool.get("name"), "parameters": tool.get("input_schema")}}
        for tool in map(as_object, as_list(body.get("tools")))
    ]
    choice = as_object(body.get("tool_choice"))
    choices: dict[str, JsonValue] = {
        "any": "required",
        "none": "none",
        "tool": {"type": "function", "function": {"name": choice.get("name")}},
    }
    chat["tool_choice"] = choices.get(as_text(choice.get("type")), "auto")
    chat["parallel_tool_calls"] = choice.get("disable_parallel_tool_use") is not True
    chat["enable_thinking"] = as_object(body.get("thinking")).get("type") == "enabled"
    output_format = as_object(as_object(body.get("output_config")).get("format"))
    if output_format.get("type") == "json_schema":
        schema: JsonObject = {"schema": output_format.get("schema")}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat


def _chat_message(message: JsonObject) -> JsonObject:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    blocks = [as_object(block) for block in content]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    if results:
        return {"role": "tool", "content": results[-1].get("content")}
    parts: list[JsonValue] = [
        {**block, "type": "image_url"} if block.get("type") == "image" else block for block in blocks
    ]
    return {**message, "content": parts}


def _arguments(call: ToolCall) -> JsonValue:
    try:
        arguments: JsonValue = json.loads(call.arguments)
    except ValueError:
        return {}
    return arguments
