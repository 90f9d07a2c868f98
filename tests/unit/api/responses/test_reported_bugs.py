"""Bugs that users reported of other translators, by their numbers in apis-on-the-wire, section 5."""

from typing import Any

import pytest

from qwen_worker.api.responses.request import to_chat
from tests.support.chunks import DONE
from tests.unit.api.responses.translating import (
    END,
    USAGE_CHUNK,
    arguments_of,
    asked,
    call,
    delta,
    finish,
    text,
    thought,
    translate,
)

NAMESPACE = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Agents.",
    "tools": [
        {"type": "function", "name": "close_agent", "parameters": {"type": "object", "properties": {}}}
    ],
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin"},
}


def test_1_the_tool_was_called_again_and_again_without_arguments() -> None:
    stream = translate(call(0, '{"city": "Rome"}', call_id="c", name="weather"), finish("tool_calls") + DONE)

    assert arguments_of(stream.items("function_call")[0]) == {"city": "Rome"}


def test_2_the_thoughts_broke_the_answer() -> None:
    stream = translate(thought("a"), text("b"), thought("c"), text("d"), END)

    assert (stream.reasoning, stream.text) == ("ac", "bd")


def test_4_no_text_at_all_arrived() -> None:
    stream = translate(delta(content="Hello", tool_calls=[]), delta(content="!", tool_calls=None), END)

    assert stream.text == "Hello!"
    assert [item["type"] for item in stream.response["output"]] == ["message"]


def test_5_an_empty_text_came_before_each_tool_call() -> None:
    chunks = (delta(role="assistant", content=""), call(0, "{}", call_id="c", name="f"), finish("stop"), DONE)
    stream = translate(*chunks)

    assert [item["type"] for item in stream.response["output"]] == ["function_call"]


def test_6_the_second_call_had_the_arguments_of_both() -> None:
    stream = translate(
        delta(
            tool_calls=[
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"n": 1}'}},
                {"index": 1, "id": "b", "function": {"name": "f", "arguments": '{"n": 2}'}},
            ]
        ),
        finish("tool_calls") + DONE,
    )

    assert [arguments_of(item) for item in stream.items("function_call")] == [{"n": 1}, {"n": 2}]


def test_7_the_client_counted_no_tokens_and_never_compacted() -> None:
    assert translate(text("a"), finish(), USAGE_CHUNK, DONE).response["usage"]["input_tokens"] == 11


def test_8_text_part_not_found() -> None:
    """The strict reader refuses to see an item closed that was not opened."""
    for chunks in ([], [text("")], [call(0, "{}", call_id="c", name="f")], [thought("a")]):
        translate(*chunks, END)


def test_9_unsupported_call_of_a_tool_in_a_namespace() -> None:
    translated = to_chat({"input": "Hi", "tools": [NAMESPACE]})
    [tool] = translated.chat["tools"]
    name = tool["function"]["name"]
    chunks = (call(0, '{"target": "x"}', call_id="c", name=name), finish("tool_calls") + DONE)
    [item] = translate(*chunks, about=translated.asked).items("function_call")

    assert (item["name"], item["namespace"]) == ("close_agent", "multi_agent_v1")


@pytest.mark.parametrize(
    "kind",
    [
        *("web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation"),
        *("computer", "computer_use_preview", "tool_search", "local_shell", "shell", "apply_patch", "mcp"),
        *("programmatic_tool_calling", "something_new"),
    ],
)
def test_10_one_unknown_tool_failed_the_whole_request(kind: str) -> None:
    translated = to_chat({"input": "Hi", "tools": [{"type": kind}, {"type": "function", "name": "f"}]})

    assert [tool["function"]["name"] for tool in translated.chat["tools"]] == ["f"]
    assert translated.ignored == (kind,)
    assert "tools" not in to_chat({"input": "Hi", "tools": [{"type": kind}], "tool_choice": "auto"}).chat


def test_11_apply_patch_was_aborted() -> None:
    chunks = (call(0, '{"input": "*** Begin Patch"}', call_id="c", name="apply_patch"), finish("tool_calls"))
    [item] = translate(*chunks, DONE, about=asked(tools=[PATCH])).response["output"]

    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin Patch")


def test_11_the_model_did_not_know_how_to_write_a_patch() -> None:
    [tool] = to_chat({"input": "Hi", "tools": [PATCH]}).chat["tools"]

    assert "Edits files." in tool["function"]["description"]
    assert "start: begin" in tool["function"]["description"]


def test_12_a_custom_tool_call_came_with_the_events_of_a_function_call() -> None:
    chunks = (call(0, '{"input": "x"}', call_id="c", name="apply_patch"), finish("tool_calls"), DONE)
    types = translate(*chunks, about=asked(tools=[PATCH])).types

    assert "response.custom_tool_call_input.done" in types
    assert not [each for each in types if "function_call" in each]


def test_13_a_broken_stream_ran_the_tool_without_arguments() -> None:
    for end in (b"", DONE, USAGE_CHUNK + DONE):
        stream = translate(call(0, "", call_id="c", name="delete_all"), end)

        assert stream.response["status"] == "failed"
        assert "response.output_item.done" not in stream.types


def test_14_the_final_response_was_empty() -> None:
    output = translate(thought("a"), text("b"), call(0, "{}", call_id="c", name="f"), END).response["output"]

    assert [item["type"] for item in output] == ["reasoning", "message", "function_call"]


def test_18_an_array_as_input_was_refused() -> None:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": "Hi"}]
    translated = to_chat({"input": [{"role": "user", "content": content}], "max_output_tokens": 16})

    assert translated.chat == {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 16}


def test_19_a_character_was_torn_apart() -> None:
    data = text("é🙂").replace(b"\\u00e9", "é".encode()).replace(b"\\ud83d\\ude42", "🙂".encode()) + END

    assert translate(*(data[place : place + 1] for place in range(len(data)))).text == "é🙂"
