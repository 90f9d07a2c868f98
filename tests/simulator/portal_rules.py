"""What Qwen's API refuses in a chat request.

`general_violation` holds for every host, `portal_violation` for the OAuth portal (portal.qwen.ai) only.
Each returns the name of a ready-made fault and the message to answer with, or None if the request is fine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text
from tests.simulator.named_faults import ALGORITHM_PREFIX

MOST_OUTPUT_TOKENS: Final = 65_536
MOST_CHOICES: Final = 4
OAUTH_ALIASES: Final = ("coder-model", "vision-model")
_ROLES: Final = ("system", "user", "assistant", "tool", "function")


class Violation(NamedTuple):
    """The ready-made fault to answer with, and the message in place of the fault's own (None: keep it)."""

    fault: str
    message: str | None


def general_violation(body: JsonObject) -> Violation | None:
    """Check what every Qwen host checks."""
    if not as_text(body.get("model")):
        return Violation("bad_request", "you must provide a model parameter")
    messages = as_list(body.get("messages"))
    if not messages:
        return Violation("bad_request", ALGORITHM_PREFIX + "[] is too short - 'messages'")
    for message in messages:
        role = as_object(message).get("role")
        if role not in _ROLES:
            return Violation("bad_request", f"{role!r} is not one of {list(_ROLES)} - 'messages.role'")
    if "tools" in body and not as_list(body["tools"]):
        return Violation("bad_request", ALGORITHM_PREFIX + "[] is too short - 'tools'")
    if body.get("stream_options") is not None and body.get("stream") is not True:
        return Violation(
            "bad_request", ALGORITHM_PREFIX + "'stream_options' only set this when you set stream to true"
        )
    if "reasoning_effort" in body and "thinking_budget" in body:
        return Violation(
            "bad_request", ALGORITHM_PREFIX + "reasoning_effort and thinking_budget exclude each other"
        )
    if body.get("enable_thinking") is True and _forces_tool(body.get("tool_choice")):
        return Violation("tool_choice_with_thinking", None)
    count = body.get("n")
    if isinstance(count, int) and not 1 <= count <= MOST_CHOICES:
        return Violation("bad_request", ALGORITHM_PREFIX + f"Range of n should be [1, {MOST_CHOICES}]")
    limit = body.get("max_tokens")
    if isinstance(limit, int) and not 1 <= limit <= MOST_OUTPUT_TOKENS:
        return Violation(
            "bad_request", ALGORITHM_PREFIX + f"Range of max_tokens should be [1, {MOST_OUTPUT_TOKENS}]"
        )
    return _tool_message_violation(messages)


def portal_violation(body: JsonObject, headers: Mapping[str, str]) -> Violation | None:
    """Check what the OAuth portal demands besides."""
    if not _has_dashscope_headers(headers):
        return Violation("throttling", None)
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    if not messages or not _is_cached_system_message(messages[0]):
        return Violation("bad_request", None)
    if any(message.get("role") == "system" for message in messages[1:]):
        return Violation("bad_request", None)
    if any(_holds_strict_schema(tool) for tool in as_list(body.get("tools"))):
        return Violation("bad_request", None)
    return None


def alias_violation(body: JsonObject) -> Violation | None:
    """Check that a request with an API key names no alias that only the OAuth portal knows."""
    model = as_text(body.get("model"))
    if model in OAUTH_ALIASES:
        return Violation(
            "model_not_found", f"The model `{model}` does not exist or you do not have access to it."
        )
    return None


def _forces_tool(tool_choice: JsonValue) -> bool:
    return tool_choice == "required" or isinstance(tool_choice, dict)


def _tool_message_violation(messages: list[JsonValue]) -> Violation | None:
    open_calls: set[str] = set()
    for message in map(as_object, messages):
        if message.get("role") == "tool":
            call_id = as_text(message.get("tool_call_id"))
            if call_id not in open_calls:
                text = (
                    'messages with role "tool" must be a response to a preceeding message with "tool_calls".'
                )
                return Violation("bad_request", ALGORITHM_PREFIX + text)
            open_calls.discard(call_id)
            continue
        if open_calls:
            return Violation("orphaned_tool_calls", None)
        for call in map(as_object, as_list(message.get("tool_calls"))):
            open_calls.add(as_text(call.get("id")))
            if not _is_json(as_text(as_object(call.get("function")).get("arguments"))):
                return Violation("arguments_not_json", None)
    return Violation("orphaned_tool_calls", None) if open_calls else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _has_dashscope_headers(headers: Mapping[str, str]) -> bool:
    return (
        headers.get("User-Agent", "").startswith("QwenCode/")
        and headers.get("X-DashScope-UserAgent", "").startswith("QwenCode/")
        and headers.get("X-DashScope-CacheControl") == "enable"
        and headers.get("X-DashScope-AuthType") == "qwen-oauth"
    )


def _is_cached_system_message(message: JsonObject) -> bool:
    parts = as_list(message.get("content"))
    return (
        message.get("role") == "system"
        and bool(parts)
        and all(as_object(part).get("type") == "text" for part in parts)
        and any(as_object(part).get("cache_control") == {"type": "ephemeral"} for part in parts)
    )


def _holds_strict_schema(tool: JsonValue) -> bool:
    # Without recursion: a fuzzer nests deeper than the stack.
    waiting: list[JsonValue] = [tool]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "strict" in value or "additionalProperties" in value:
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False
