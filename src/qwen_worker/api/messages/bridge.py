"""A Messages request as a chat completions request (apis-on-the-wire 4).

What is Anthropic's alone has no chat form and is left out: `context_management`, `betas`, `mcp_servers`,
`container`, `service_tier` and whatever else is not named here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from qwen_worker.api.messages import checks
from qwen_worker.api.messages.bridge_messages import chat_messages
from qwen_worker.api.messages.bridge_tools import chat_tool_choice, chat_tools, is_tool_forced
from qwen_worker.api.messages.thinking import ModelFacts, chat_thinking, clamped_max_tokens

MOST_CACHE_MARKS = 4
"""How many marks Qwen and Anthropic take in one request."""

_SAME_NAMES = ("temperature", "top_p", "top_k")


def chat_body(
    body: Mapping[str, Any],
    *,
    model: str,
    facts: ModelFacts,
    cache_marks: bool,
    knows_qwen_fields: bool,
) -> dict[str, Any]:
    """The chat completions body for a checked Messages body. Raises InvalidRequest that names the field.

    `model` is the host's name of the model. `cache_marks`: the host honours `cache_control` on parts and
    tools. `knows_qwen_fields`: the host takes `enable_thinking` and `thinking_budget`.
    """
    messages = chat_messages(body, cache_marks=cache_marks)
    if not messages:
        raise checks.invalid("messages", "there is no content")
    chat: dict[str, Any] = {"model": model, "messages": messages}
    tools = chat_tools(body, cache_marks=cache_marks)
    if tools:
        chat["tools"] = tools
    chat.update(chat_tool_choice(body, tools))
    max_tokens = clamped_max_tokens(body["max_tokens"], facts)
    chat["max_tokens"] = max_tokens
    for name in _SAME_NAMES:
        if body.get(name) is not None:
            chat[name] = body[name]
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    user_id = (body.get("metadata") or {}).get("user_id")
    if isinstance(user_id, str):
        chat["user"] = user_id
    output_config = body.get("output_config") or {}
    chat.update(_response_format(output_config.get("format"), "output_config.format"))
    chat.update(_response_format(body.get("output_format"), "output_format"))
    effort = output_config.get("effort")
    chat.update(
        chat_thinking(
            body.get("thinking"),
            facts,
            max_tokens=max_tokens,
            effort=effort if isinstance(effort, str) else None,
            is_tool_forced=bool(tools) and is_tool_forced(body),
            knows_qwen_fields=knows_qwen_fields,
        )
    )
    if body.get("stream") is True:
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    if cache_marks:
        _limit_marks(chat)
    return chat


def _response_format(wanted: Any, path: str) -> dict[str, Any]:
    """The field for a structured output. Anthropic's are always strict, and have no name."""
    if wanted is None:
        return {}
    checks.one_of(checks.mapping(wanted, path).get("type"), f"{path}.type", ("json_schema",))
    schema = checks.mapping(wanted.get("schema"), f"{path}.schema")
    described = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _limit_marks(chat: Mapping[str, Any]) -> None:
    """Takes the first cache marks away if there are too many: the last ones cover all before them."""
    places = [place for place in _markable(chat) if "cache_control" in place]
    for place in places[:-MOST_CACHE_MARKS]:
        del place["cache_control"]


def _markable(chat: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All that may have a cache mark, in the order in which the model reads it."""
    yield from chat.get("tools", ())
    for message in chat["messages"]:
        if isinstance(message["content"], list):
            yield from message["content"]
