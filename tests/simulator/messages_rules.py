"""What a strict host refuses of a Messages request: all that one of those that look like Anthropic is known
to refuse (apis-on-the-wire 1.2, 3.2 and 5).

Qwen's own hosts refuse less of it today, but what they do with each is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.simulator.json_types import JsonObject, as_list, as_object, as_text

MOST_OUTPUT_TOKENS: Final = 65_536
MOST_CACHE_MARKS: Final = 4
_LISTED_FIELDS: Final = {
    *("model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "top_p"),
    *("top_k", "tools", "tool_choice", "thinking", "metadata", "output_config", "simulate"),
}


def messages_violation(body: JsonObject, *, is_count: bool = False) -> str | None:
    """Return the message to refuse a request with, or None if it is fine."""
    model = as_text(body.get("model"))
    if not model:
        return "you must provide a model parameter"
    if model.startswith("claude-"):
        return "Model not exist."
    if unknown := sorted(body.keys() - _LISTED_FIELDS):
        return f"Extra inputs are not permitted: {unknown[0]}"
    limit = body.get("max_tokens")
    if not is_count and not isinstance(limit, int):
        return "max_tokens: Field required"
    if isinstance(limit, int) and not 1 <= limit <= MOST_OUTPUT_TOKENS:
        return f"Range of max_tokens should be [1, {MOST_OUTPUT_TOKENS}]"
    return (
        _thinking_violation(body, limit if isinstance(limit, int) else None)
        or _messages_violation(body)
        or _tools_violation(body)
        or _marks_violation(body)
    )


def _thinking_violation(body: JsonObject, limit: int | None) -> str | None:
    thinking = as_object(body.get("thinking"))
    kind = thinking.get("type")
    if thinking and kind not in ("enabled", "disabled"):
        return "Only 'enabled' and 'disabled' are supported for thinking"
    if kind != "enabled":
        return None
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or budget < 1:
        return "thinking.budget_tokens should be greater than 0"
    if limit is not None and budget >= limit:
        return "max_tokens must be greater than thinking.budget_tokens"
    if as_object(body.get("tool_choice")).get("type") in ("any", "tool"):
        return "The tool_choice parameter does not support being set to required or object in thinking mode"
    return None


def _messages_violation(body: JsonObject) -> str | None:
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    if not messages:
        return "messages: at least one message is required"
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") not in ("user", "assistant"):
            return (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter'
            )
        blocks = [as_object(block) for block in as_list(message.get("content"))]
        if not blocks and not as_text(message.get("content")):
            return "messages: all messages must have non-empty content"
        results = {
            as_text(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"
        }
        if results != open_calls:
            return "tool_use ids were found without tool_result blocks immediately after"
        open_calls = {as_text(block.get("id")) for block in blocks if block.get("type") == "tool_use"}
        for block in blocks:
            if violation := _block_violation(block):
                return violation
    return "tool_use ids were found without tool_result blocks immediately after" if open_calls else None


def _block_violation(block: JsonObject) -> str | None:
    kind = block.get("type")
    if kind not in ("text", "image", "document", "thinking", "tool_use", "tool_result"):
        return f"messages: Input tag {kind!r} does not match any of the expected tags"
    if kind == "text" and not as_text(block.get("text")).strip():
        return "messages: text content blocks must be non-empty"
    if kind == "thinking" and block.get("signature") == "":
        return "messages: thinking.signature: Invalid signature in thinking block"
    return None


def _tools_violation(body: JsonObject) -> str | None:
    if "tools" in body and not as_list(body["tools"]):
        return "[] is too short - 'tools'"
    for tool in map(as_object, as_list(body.get("tools"))):
        if tool.get("type", "custom") != "custom" or not isinstance(tool.get("input_schema"), dict):
            return "tools.input_schema: Field required"
        if unknown := sorted(tool.keys() - {"type", "name", "description", "input_schema", "cache_control"}):
            return f"tools: Extra inputs are not permitted: {unknown[0]}"
    if body.get("tool_choice") is not None and "tools" not in body:
        return "tool_choice may only be specified while providing tools"
    return None


def _marks_violation(body: JsonObject) -> str | None:
    if sum("cache_control" in place for place in _markable(body)) > MOST_CACHE_MARKS:
        return f"A maximum of {MOST_CACHE_MARKS} blocks with cache_control may be provided"
    if any(as_text(block.get("text")).startswith("x-anthropic-") for block in _markable(body)):
        return "system: Input should not name a billing header"
    return None


def _markable(body: JsonObject) -> Iterator[JsonObject]:
    yield from map(as_object, as_list(body.get("system")))
    yield from map(as_object, as_list(body.get("tools")))
    for message in map(as_object, as_list(body.get("messages"))):
        yield from map(as_object, as_list(message.get("content")))
