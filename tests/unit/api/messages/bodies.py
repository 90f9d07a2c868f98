"""Messages bodies for tests, and what becomes of them."""

import json
from typing import Any

from qwen_worker.api.messages.bridge import chat_body
from qwen_worker.api.messages.native import native_body
from qwen_worker.api.messages.request import MessagesRequest, parse_messages_request
from qwen_worker.api.messages.thinking import ModelFacts

HYBRID = ModelFacts(thinks="hybrid", longest_output=65_536, longest_budget=81_920)

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}


def body(**fields: Any) -> dict[str, Any]:
    """A body with what must be there."""
    return {"model": "m", "max_tokens": 32_000, "messages": [USER], **fields}


def parsed(**fields: Any) -> MessagesRequest:
    return parse_messages_request(json.dumps(body(**fields), ensure_ascii=False).encode())


def to_chat(
    facts: ModelFacts = HYBRID, *, cache_marks: bool = True, knows_qwen_fields: bool = True, **fields: Any
) -> dict[str, Any]:
    """The chat completions body for a body with these fields."""
    return chat_body(
        parsed(**fields).body(),
        model="qwen",
        facts=facts,
        cache_marks=cache_marks,
        knows_qwen_fields=knows_qwen_fields,
    )


def to_native(facts: ModelFacts = HYBRID, *, model: str = "m", **fields: Any) -> dict[str, Any]:
    """The body that a host gets that speaks Messages."""
    result: dict[str, Any] = json.loads(native_body(parsed(**fields), model=model, facts=facts))
    return result
