"""A whole chat completion as a whole message."""

import json
from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.messages.streams import USAGE, translator


def whole(answer: Any, finish: Any = "stop", usage: Any = USAGE, **facts: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": answer, "finish_reason": finish}
    message = translator(**facts).whole({"id": "chatcmpl-1", "choices": [choice], "usage": usage})
    Message.model_validate(message, strict=True)
    return message


def call(arguments: Any, call_id: str = "c1", name: str = "f") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def use(arguments: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}


def test_every_field() -> None:
    assert whole({"role": "assistant", "content": "Hello"}) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 40,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 60,
            "output_tokens": 7,
        },
    }


def test_order_of_blocks() -> None:
    answer = {"content": "a", "reasoning_content": "hm", "tool_calls": [call('{"a": 1}'), call("", "c2")]}
    message = whole(answer)
    assert message["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "a"},
        use({"a": 1}),
        use({}, "c2"),
    ]
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        (None, {}),
        ("null", {}),
        ({"a": 1}, {"a": 1}),
        ('{"a": ', {"_invalid_json": '{"a": '}),
        ("[1]", {"_invalid_json": "[1]"}),
    ],
)
def test_arguments(arguments: Any, expected: dict[str, Any]) -> None:
    assert whole({"content": None, "tool_calls": [call(arguments)]})["content"] == [use(expected)]


@pytest.mark.parametrize(
    ("arguments", "content", "reason"), [('{"a": ', [], "max_tokens"), ("{}", [use({})], "tool_use")]
)
def test_calls_at_the_longest_output(arguments: str, content: list[Any], reason: str) -> None:
    message = whole({"content": "", "tool_calls": [call(arguments)]}, "length")
    assert (message["content"], message["stop_reason"]) == (content, reason)


@pytest.mark.parametrize("text", ["", "\n", None])
def test_a_text_that_says_nothing_is_no_block(text: Any) -> None:
    assert whole({"content": text})["content"] == []


def test_a_stop_sequence_is_told_and_not_shown() -> None:
    message = whole({"content": "one END two", "tool_calls": [call("{}")]}, stop_sequences=("END",))
    assert message["content"] == [{"type": "text", "text": "one "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (42, 0, 0, 2)),
        ({}, (42, 0, 0, 2)),
        ({"prompt_tokens": 9, "completion_tokens": 3}, (9, 0, 0, 3)),
        (
            {
                "prompt_tokens": 90,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 50, "cache_creation_input_tokens": 30},
            },
            (10, 50, 30, 3),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 20}},
            (0, 20, 0, 3),
        ),
        ({"prompt_tokens": -1, "completion_tokens": "3", "prompt_tokens_details": 1}, (42, 0, 0, 2)),
    ],
    ids=["none", "empty", "plain", "cache", "more cached than read", "nonsense"],
)
def test_usage(usage: Any, expected: tuple[int, int, int, int]) -> None:
    told = whole({"content": "eight!!!"}, usage=usage)["usage"]
    assert (
        told["input_tokens"],
        told["cache_read_input_tokens"],
        told["cache_creation_input_tokens"],
        told["output_tokens"],
    ) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "function", "name", "arguments", "content", "tool_calls", "message"]),
            inner,
        )
    ),
)


@given(json_values, json_values, json_values)
def test_no_completion_breaks_it(answer: Any, finish: Any, usage: Any) -> None:
    json.dumps(whole(answer, finish, usage))


@given(json_values)
def test_no_choices_break_it(choices: Any) -> None:
    Message.model_validate(translator().whole({"choices": choices}), strict=True)
