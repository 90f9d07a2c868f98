"""Tools and other fields of a Messages request as those of a chat completions request."""

from typing import Any

import pytest

from qwen_worker.errors import InvalidRequest
from tests.unit.api.messages.bodies import TOOL, to_chat

MARK = {"type": "ephemeral"}

FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
}


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ([TOOL], [FUNCTION]),
        ([TOOL | {"type": "custom", "defer_loading": True, "input_examples": []}], [FUNCTION]),
        ([TOOL | {"strict": True}],
         [{"type": "function", "function": {**FUNCTION["function"], "strict": True}}]),  # type: ignore[dict-item]
        ([TOOL | {"cache_control": MARK}], [FUNCTION | {"cache_control": MARK}]),
        ([{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}, TOOL], [FUNCTION]),
        ([{"type": "web_search_20250305", "name": "web_search"}], None),
        ([], None),
        (None, None),
    ],
)  # fmt: skip
def test_tools(tools: Any, expected: Any) -> None:
    chat = to_chat(tools=tools, tool_choice={"type": "auto"})
    assert chat.get("tools") == expected
    assert ("tool_choice" in chat) == (expected is not None)
    assert ("parallel_tool_calls" in chat) == (expected is not None)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, (None, True)),
        ({"type": "auto"}, ("auto", True)),
        ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", False)),
        ({"type": "any"}, ("required", True)),
        ({"type": "none"}, ("none", True)),
        ({"type": "tool", "name": "f"}, ({"type": "function", "function": {"name": "f"}}, True)),
        ({"type": "tool", "name": "web_search"}, (None, True)),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    tools = [TOOL, {"type": "web_search_20250305", "name": "web_search"}]
    chat = to_chat(tools=tools, **({} if choice is None else {"tool_choice": choice}))
    assert (chat.get("tool_choice"), chat["parallel_tool_calls"]) == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [TOOL | {"description": 1}]}, "tools.0.description"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_a_bad_tool_or_format_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_chat(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"model": "qwen", "max_tokens": 32_000}),
        ({"max_tokens": 128_000}, {"max_tokens": 65_536}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
         {"response_format": {"type": "json_schema", "json_schema":
                              {"name": "answer", "strict": True, "schema": {"type": "object"}}}}),
    ],
)  # fmt: skip
def test_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    chat = to_chat(**fields)
    assert expected.items() <= chat.items()


@pytest.mark.parametrize(
    "fields",
    [
        {"context_management": {"edits": []}, "betas": ["x"], "mcp_servers": [], "container": "c"},
        {"service_tier": "auto", "fallbacks": [], "metadata": {}, "stop_sequences": [], "stream": False},
        {"system": None, "tools": None, "thinking": None, "temperature": None, "output_config": None},
    ],
)
def test_what_has_no_chat_form_is_left_out(fields: dict[str, Any]) -> None:
    assert to_chat(**fields) == to_chat()
