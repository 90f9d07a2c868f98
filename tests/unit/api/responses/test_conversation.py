"""Input items become messages in the order that chat hosts demand."""

from typing import Any

import pytest

from qwen_worker.api.responses.conversation import NO_OUTPUT
from qwen_worker.api.responses.request import to_chat
from tests.unit.api.responses.items import HI, IMAGE, assistant, call, messages, reasoning, result, said, tool


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([HI], [HI]),
        ([{**HI, "type": "message"}, assistant("Hello"), HI], [HI, said("Hello"), HI]),
        ([call("a"), call("b"), result("a"), result("b")], [said(None, "a", "b"), tool("a"), tool("b")]),
        ([call("a"), call("b"), result("b"), result("a")], [said(None, "a", "b"), tool("a"), tool("b")]),
        (
            [call("a"), result("a"), call("b"), result("b")],
            [said(None, "a"), tool("a"), said(None, "b"), tool("b")],
        ),
        ([assistant("x"), call("a"), result("a")], [said("x", "a"), tool("a")]),
        ([call("a"), assistant("x"), result("a")], [said("x", "a"), tool("a")]),
        ([assistant("x"), call("a"), assistant("y"), result("a")], [said("xy", "a"), tool("a")]),
        ([assistant("x"), assistant("y")], [said("x"), said("y")]),
        ([call("a"), HI, result("a")], [said(None, "a"), tool("a"), HI]),
        ([call("a"), HI], [said(None, "a"), tool("a", NO_OUTPUT), HI]),
        ([call("a")], [said(None, "a"), tool("a", NO_OUTPUT)]),
        (
            [call("a"), result("a"), HI, call("a"), result("a", "again")],
            [said(None, "a"), tool("a"), HI, said(None, "a"), tool("a", "again")],
        ),
        (
            [call("a"), HI, call("a"), result("a")],
            [said(None, "a"), tool("a", NO_OUTPUT), HI, said(None, "a"), tool("a")],
        ),
        (
            [call("a"), call("a"), result("a", "1"), result("a", "2")],
            [said(None, "a", "a_1"), tool("a", "1"), tool("a_1", "2")],
        ),
        ([HI, result("a", "x")], [HI, {"role": "user", "content": "Result of an earlier tool call:\nx"}]),
        (
            [call("a"), result("a"), result("a", "x")],
            [said(None, "a"), tool("a"), {"role": "user", "content": "Result of an earlier tool call:\nx"}],
        ),
        ([reasoning("r"), assistant("x")], [said("x", reasoning="r")]),
        ([reasoning("r"), call("a"), result("a")], [said(None, "a", reasoning="r"), tool("a")]),
        ([reasoning("r"), reasoning("s"), assistant("x")], [said("x", reasoning="r\n\ns")]),
        (
            [reasoning("r"), assistant("x"), reasoning("s"), call("a"), result("a")],
            [said("x", "a", reasoning="r\n\ns"), tool("a")],
        ),
        (
            [reasoning("r"), assistant("x"), reasoning("s"), assistant("y")],
            [said("x", reasoning="r"), said("y", reasoning="s")],
        ),
        ([assistant("x"), reasoning("r"), HI], [said("x", reasoning="r"), HI]),
        ([reasoning("r"), HI], [said("", reasoning="r"), HI]),
        ([reasoning(""), assistant("x")], [said("x")]),
        (
            [reasoning("r"), call("a"), result("a"), assistant("x")],
            [said(None, "a", reasoning="r"), tool("a"), said("x")],
        ),
    ],
)
def test_items_become_messages_in_the_order_of_chat(items: list[Any], expected: list[Any]) -> None:
    assert messages(*items) == expected


def test_instructions_come_first() -> None:
    body = {
        "instructions": "one",
        "input": [
            {"role": "developer", "content": "two"},
            HI,
            {"role": "system", "content": [{"type": "input_text", "text": "three"}]},
        ],
    }

    assert to_chat(body).chat["messages"] == [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": "two"},
        {"role": "system", "content": "three"},
        HI,
    ]


def test_a_string_is_a_users_message() -> None:
    assert to_chat({"input": "Hi"}).chat == {"messages": [HI]}


def test_the_reasoning_itself_wins_over_its_summary() -> None:
    item = {
        **reasoning("short"),
        "content": [{"type": "reasoning_text", "text": "long"}],
        "encrypted_content": None,
    }

    assert messages(item, assistant("x")) == [said("x", reasoning="long")]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "computer_call_output", "call_id": "c", "output": {}},
        {"type": "mcp_list_tools", "tools": []},
        {"type": "invented_in_2027", "content": 1},
    ],
)
def test_items_that_mean_nothing_to_qwen_are_left_out(item: dict[str, Any]) -> None:
    translated = to_chat({"input": [item, HI]})

    assert translated.chat["messages"] == [HI]
    assert translated.ignored == (item["type"],)


# --- calls and results


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "{}"),
        (" ", "{}"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a":', '{"invalid_arguments": "{\\"a\\":"}'),
        ("[1]", '{"invalid_arguments": "[1]"}'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_arguments_are_an_object_as_qwen_demands(arguments: Any, expected: str) -> None:
    [message, _] = messages(call("a", arguments=arguments))

    assert message["tool_calls"][0]["function"]["arguments"] == expected


def test_a_custom_call_is_a_call_with_its_input() -> None:
    [message, answer] = messages(
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": '*** "x"'},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "done"},
    )

    assert message["tool_calls"][0]["function"] == {
        "name": "apply_patch",
        "arguments": '{"input": "*** \\"x\\""}',
    }
    assert answer == tool("a")


def test_a_call_in_a_namespace_has_the_name_that_its_tool_has() -> None:
    namespace = "mcp__" + "n" * 60
    tools = [{"type": "namespace", "name": namespace, "tools": [{"type": "function", "name": "f"}]}]
    body = {"input": [call("a", namespace=namespace)], "tools": tools}
    chat = to_chat(body).chat
    without_tools = to_chat({"input": body["input"]}).chat

    name = chat["tools"][0]["function"]["name"]
    assert len(name) <= 64
    for each in (chat, without_tools):
        assert each["messages"][0]["tool_calls"][0]["function"]["name"] == name


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("done", "done"),
        ("", ""),
        (None, ""),
        ([], ""),
        ([{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}], "ab"),
        ({"ok": True}, '{"ok": true}'),
    ],
)
def test_a_result_is_text(output: Any, expected: str) -> None:
    assert messages(call("a"), result("a", output))[1] == tool("a", expected)


def test_images_in_results_follow_all_results_as_a_users_message() -> None:
    image = {"type": "input_image", "image_url": IMAGE, "detail": "high"}
    found = messages(call("a"), call("b"), result("a", [image]), result("b"))

    assert found[1:3] == [tool("a", "(see the next message)"), tool("b")]
    assert found[3] == {
        "role": "user",
        "content": [
            {"type": "text", "text": "From the result of f:"},
            {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
        ],
    }
