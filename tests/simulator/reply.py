"""What a healthy (or overridden) completion says: reasoning, content or tool calls, finish reason, usage."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulator.faults import Fault, ToolCall
from tests.simulator.json_types import JsonObject, as_list, as_object, as_text
from tests.simulator.schema import minimal_instance
from tests.simulator.text import answer_text, deltas_of, text_of, thoughts


@dataclass(frozen=True, slots=True)
class Reply:
    """One choice of a completion. `content` may be endless; its texts are the deltas of a stream."""

    reasoning: tuple[str, ...]
    content: Iterable[str]
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str


def compose(body: JsonObject, fault: Fault) -> Reply:
    """Decide what to answer to a chat request where the fault does not say it."""
    calls = fault.tool_calls if fault.tool_calls is not None else _requested_calls(body)
    content: Iterable[str] = () if calls and fault.text is None else _content(body, fault)
    finish_reason = "tool_calls" if calls else "stop"
    limit = body.get("max_tokens")
    if isinstance(limit, int) and isinstance(content, list) and len(content) > limit:
        content, finish_reason = content[:limit], "length"
    return Reply(_reasoning(body, fault), content, calls, fault.finish_reason or finish_reason)


def usage_of(body: JsonObject, reply_tokens: int) -> JsonObject:
    """Return a usage object; a token is a word here."""
    prompt = sum(len(text_of(as_object(message)).split()) for message in as_list(body.get("messages")))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": reply_tokens,
        "total_tokens": prompt + reply_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _reasoning(body: JsonObject, fault: Fault) -> tuple[str, ...]:
    if fault.reasoning is not None:
        return fault.reasoning
    return tuple(deltas_of(thoughts(body))) if body.get("enable_thinking") is True else ()


def _content(body: JsonObject, fault: Fault) -> Iterable[str]:
    if fault.text is not None:
        deltas = list(fault.text)
        return itertools.cycle(deltas) if fault.endless else deltas
    count = fault.burst if fault.burst is not None else fault.chunks
    if count is not None or fault.endless:
        size = fault.delta_bytes or 0
        numbers: Iterable[int] = itertools.count() if fault.endless else range(count or 0)
        deltas_forever = (f"word{number} ".ljust(size, ".") for number in numbers)
        return deltas_forever if fault.endless else list(deltas_forever)
    deltas = deltas_of(_default_text(body))
    # A fault after N events must find N events, or a test of it would see a healthy answer.
    missing = fault.events_needed - len(deltas)
    return deltas + [f" word{number}" for number in range(missing)]


def _default_text(body: JsonObject) -> str:
    response_format = as_object(body.get("response_format"))
    if response_format.get("type") == "json_schema":
        schema = as_object(response_format.get("json_schema")).get("schema")
        return json.dumps(minimal_instance(schema))
    if response_format.get("type") == "json_object":
        return json.dumps({"answer": answer_text(body)}, ensure_ascii=False)
    return answer_text(body)


def _requested_calls(body: JsonObject) -> tuple[ToolCall, ...]:
    functions = [as_object(as_object(tool).get("function")) for tool in as_list(body.get("tools"))]
    tools = [function for function in functions if as_text(function.get("name"))]
    choice = body.get("tool_choice")
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    if not tools or choice == "none" or not messages or messages[-1].get("role") == "tool":
        return ()
    wanted = [tool for tool in tools if as_text(tool["name"]) in text_of(messages[-1])]
    if isinstance(choice, dict):
        forced = as_object(choice.get("function")).get("name")
        wanted = [tool for tool in tools if tool.get("name") == forced]
    elif choice == "required" and not wanted:
        wanted = tools[:1]
    if body.get("parallel_tool_calls") is False:
        wanted = wanted[:1]
    return tuple(_call(tool) for tool in wanted)


def _call(tool: JsonObject) -> ToolCall:
    arguments = minimal_instance({"type": "object", **as_object(tool.get("parameters"))})
    return ToolCall(name=as_text(tool.get("name")), arguments=json.dumps(arguments))
