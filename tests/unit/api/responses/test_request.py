"""The parameters of a request, and what is wrong with one that makes no sense."""

from typing import Any

import pytest

from qwen_worker.api.responses.request import to_chat
from qwen_worker.errors import InvalidRequest
from tests.unit.api.responses.items import HI, call, result


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_output_tokens": 20}, {"max_tokens": 20}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": "auto"}}, {}),
        ({"reasoning": {}}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {}, "strict": True},
                }
            },
        ),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False, "stream_options": {"include_obfuscation": False}}, {"stream": False}),
        ({"top_logprobs": 2}, {"top_logprobs": 2, "logprobs": True}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"enable_thinking": True, "top_k": 3, "seed": 1}, {"enable_thinking": True, "top_k": 3, "seed": 1}),
        ({"model": "m"}, {"model": "m"}),
        (dict.fromkeys(("tools", "text", "reasoning", "max_output_tokens", "tool_choice", "include")), {}),
        (
            {
                "store": False,
                "metadata": {},
                "client_metadata": {},
                "prompt_cache_key": "k",
                "service_tier": "auto",
                "truncation": "auto",
                "user": "u",
                "safety_identifier": "s",
                "background": False,
                "previous_response_id": None,
                "conversation": None,
                "max_tool_calls": 3,
                "messages": [],
                "parallel_tool_calls": True,
                "tool_choice": "auto",
            },
            {},
        ),
    ],
)
def test_parameters_in_the_words_of_chat(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert to_chat({"input": "Hi", **fields}).chat == {"messages": [HI], **expected}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"messages": [HI]}, "input", "missing_required_parameter"),
        ({"input": 1}, "input", "invalid_type"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ["x"]}, "input[0]", "invalid_type"),
        ({"input": [{}]}, "input[0].role", "missing_required_parameter"),
        ({"input": [{"type": 1}]}, "input[0].type", "invalid_type"),
        ({"input": [{"role": "tool", "content": ""}]}, "input[0].role", "invalid_value"),
        ({"input": [HI, {"type": "function_call"}]}, "input[1].arguments", "missing_required_parameter"),
        ({"input": [call("a", name=None)]}, "input[0].name", "missing_required_parameter"),  # type: ignore[arg-type]
        ({"input": [result(1)]}, "input[0].call_id", "invalid_type"),  # type: ignore[arg-type]
        ({"input": [{"type": "custom_tool_call"}]}, "input[0].input", "missing_required_parameter"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id", "missing_required_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "previous_response_not_found"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"model": "m" * 300}, "model", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": "1"}, "top_p", "invalid_type"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"max_output_tokens": 1.5}, "max_output_tokens", "invalid_type"),
        ({"instructions": ["x"]}, "instructions", "invalid_type"),
        ({"text": {"format": "json"}}, "text.format", "invalid_type"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type", "invalid_value"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a"}}},
            "text.format.schema",
            "missing_required_parameter",
        ),
        ({"reasoning": {"effort": 1}}, "reasoning.effort", "invalid_type"),
        ({"reasoning": "high"}, "reasoning", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": ["x"]}, "tools[0]", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        ({"tools": [{"type": "namespace", "name": "n"}]}, "tools[0].tools", "missing_required_parameter"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "custom"}]}]},
            "tools[0].tools[0].name",
            "missing_required_parameter",
        ),
        ({"tool_choice": "any"}, "tool_choice", "invalid_value"),
        ({"tool_choice": 1}, "tool_choice", "invalid_type"),
        ({"tool_choice": {}}, "tool_choice.type", "missing_required_parameter"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name", "missing_required_parameter"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools", "missing_required_parameter"),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": [], "mode": "x"}},
            "tool_choice.mode",
            "invalid_value",
        ),
    ],
)
def test_a_request_that_makes_no_sense_names_the_field(body: dict[str, Any], param: str, code: str) -> None:
    if "input" not in body and param != "input":
        body = {"input": "Hi", **body}
    with pytest.raises(InvalidRequest) as caught:
        to_chat(body)

    assert (caught.value.param, caught.value.code) == (param, code)


def test_what_the_caller_needs_beside_the_chat() -> None:
    translated = to_chat(
        {"input": "Hi", "model": "m", "stream": True, "prompt_cache_key": "k", "store": False}
    )

    assert (translated.model, translated.stream, translated.prompt_cache_key) == ("m", True, "k")
    assert not translated.asked.carries_texts
    assert to_chat({"input": "Hi"}).asked.carries_texts
    assert to_chat({"input": "Hi", "prompt_cache_key": ""}).prompt_cache_key is None
    assert to_chat({"input": "Hi", "model": ""}).model is None
