"""A whole chat completion becomes a whole response."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.responses.answer import usage_of
from tests.support.responses_schema import check_response
from tests.unit.api.responses.translating import MODEL, NOW_MS, SEED, USAGE, asked, json_values, translator


def answer(
    message: dict[str, Any], finish: str = "stop", *, fields: dict[str, Any] | None = None, **other: Any
) -> dict[str, Any]:
    """The response for this message, which has every field of its schema."""
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": finish}], **other}
    response = translator(asked(**(fields or {}))).whole(completion)
    check_response(response)
    return response


def function_call(name: str, arguments: str, call_id: str = "call_a") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_text() -> None:
    response = answer({"role": "assistant", "content": "Hello"}, usage=USAGE)

    assert response["output"] == [
        {
            "id": f"msg_{SEED}01",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }
    ]
    assert (response["id"], response["object"], response["model"]) == (f"resp_{SEED}", "response", MODEL)
    assert (response["status"], response["error"], response["incomplete_details"]) == (
        "completed",
        None,
        None,
    )
    assert response["created_at"] == response["completed_at"] == NOW_MS // 1000
    assert response["usage"]["total_tokens"] == 18


def test_reasoning_text_and_calls_are_items_in_this_order() -> None:
    response = answer(
        {
            "content": "Hello",
            "reasoning_content": "Hm",
            "tool_calls": [function_call("f", '{"a": 1}'), function_call("g", "", "call_b")],
        },
        "tool_calls",
    )

    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert [item["arguments"] for item in response["output"][2:]] == ['{"a": 1}', "{}"]


def test_custom_and_namespaced_tools_come_back_as_the_client_knows_them() -> None:
    tools = [
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "ns", "description": "", "tools": [{"type": "function", "name": "f"}]},
    ]
    calls = [function_call("apply_patch", '{"input": "*** x"}', "a"), function_call("ns__f", "{}", "b")]
    patch, namespaced = answer({"tool_calls": calls}, "tool_calls", fields={"tools": tools})["output"]

    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "apply_patch", "*** x")
    assert (namespaced["type"], namespaced["name"], namespaced["namespace"]) == ("function_call", "f", "ns")


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete(finish: str, reason: str) -> None:
    response = answer({"content": "Hel"}, finish)

    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert response["completed_at"] is None
    assert response["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("arguments", ["", '{"path": "/'])
def test_a_call_that_was_cut_off_does_not_look_like_one_without_arguments(arguments: str) -> None:
    [item] = answer({"tool_calls": [function_call("remove", arguments)]}, "length")["output"]

    assert (item["status"], item["arguments"]) == ("incomplete", arguments)


def test_calls_have_ids_of_their_own() -> None:
    calls = [function_call("f", "{}", ""), function_call("f", "{}", "a"), function_call("f", "{}", "a")]
    output = answer({"tool_calls": calls})["output"]

    assert len({item["call_id"] for item in output}) == len({item["id"] for item in output}) == 3


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ([], None),
        ({}, (0, 0, 0, 0, 0, 0)),
        (USAGE, (11, 5, 0, 7, 3, 18)),
        ({"prompt_tokens": 2, "completion_tokens": 3}, (2, 0, 0, 3, 0, 5)),
        ({"prompt_tokens": None, "completion_tokens": "3", "prompt_tokens_details": None}, (0,) * 6),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cache_creation_input_tokens": 4}},
            (9, 0, 4, 0, 0, 9),
        ),
    ],
)
def test_usage_is_told_in_integers(usage: Any, expected: tuple[int, ...] | None) -> None:
    mapped = usage_of(usage)

    if mapped is None:
        assert expected is None
    else:
        assert expected == (
            mapped["input_tokens"],
            mapped["input_tokens_details"]["cached_tokens"],
            mapped["input_tokens_details"]["cache_write_tokens"],
            mapped["output_tokens"],
            mapped["output_tokens_details"]["reasoning_tokens"],
            mapped["total_tokens"],
        )


names = st.sampled_from(
    ["choices", "message", "content", "tool_calls", "function", "name", "arguments", "usage"]
)


@given(st.recursive(json_values, lambda inner: st.dictionaries(names, inner | st.lists(inner, max_size=2))))
def test_whatever_a_host_answers_becomes_a_valid_response(completion: Any) -> None:
    for value in (completion, {"choices": [completion]}, {"choices": [{"message": completion}]}):
        check_response(translator().whole(value if isinstance(value, dict) else {}))
