"""A Responses request becomes a chat request, or an error that names the field."""

import base64
from typing import Any

import pytest

from qwen_worker.api.responses.conversation import NO_OUTPUT
from qwen_worker.api.responses.request import to_chat
from qwen_worker.errors import InvalidRequest

HI = {"role": "user", "content": "Hi"}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def user(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


def assistant(said: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]}


def call(call_id: str, name: str = "f", arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **fields}


def result(call_id: str, output: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def reasoning(said: str) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": said}]}


def said(content: str | None, *calls: str, reasoning: str | None = None) -> dict[str, Any]:
    """The assistant's chat message with calls of `f`."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if calls:
        function = {"name": "f", "arguments": "{}"}
        message["tool_calls"] = [{"id": each, "type": "function", "function": function} for each in calls]
    return message


def tool(call_id: str, content: str = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def messages(*items: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = to_chat({"input": list(items)}).chat["messages"]
    return found


# --- order


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


# --- content


def encoded(data: bytes, kind: str = "text/plain") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {}}, {"type": "text", "text": "x"}),
        (
            {"type": "input_text", "text": "x", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
        ),
        ({"type": "refusal", "refusal": "no"}, {"type": "text", "text": "no"}),
        (
            {"type": "input_image", "image_url": "https://x/y"},
            {"type": "image_url", "image_url": {"url": "https://x/y"}},
        ),
        (
            {"type": "input_image", "image_url": IMAGE, "detail": "original"},
            {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
        ),
        (
            {"type": "input_image", "image_url": {"url": IMAGE}, "detail": "low"},
            {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": encoded("é".encode())},
            {"type": "text", "text": "a.txt:\né"},
        ),
        ({"type": "input_file", "file_data": base64.b64encode(b"x").decode()}, {"type": "text", "text": "x"}),
        ({"type": "input_file", "file_data": IMAGE}, {"type": "image_url", "image_url": {"url": IMAGE}}),
        (
            {"type": "video_url", "video_url": {"url": "https://x"}},
            {"type": "video_url", "video_url": {"url": "https://x"}},
        ),
    ],
)
def test_parts_become_parts_of_chat(part: dict[str, Any], expected: dict[str, Any]) -> None:
    text = {"type": "text", "text": "!"}

    assert messages(user(part, {"type": "input_text", "text": "!"}))[0]["content"] == [expected, text]


@pytest.mark.parametrize(
    ("content", "param", "message"),
    [
        (None, "input[0].content", "Missing"),
        (1, "input[0].content", "a string or an array"),
        (["x"], "input[0].content[0]", "an object"),
        ([{}], "input[0].content[0].type", "Missing"),
        ([{"type": 1}], "input[0].content[0].type", "a string"),
        ([{"type": "input_text"}], "input[0].content[0].text", "Missing"),
        ([{"type": "input_image"}], "input[0].content[0].image_url", "Missing"),
        ([{"type": "input_image", "file_id": "file-1"}], "input[0].content[0].file_id", "keeps no files"),
        ([{"type": "input_file"}], "input[0].content[0].file_data", "Missing"),
        ([{"type": "input_file", "file_id": "file-1"}], "input[0].content[0].file_id", "keeps no files"),
        ([{"type": "input_file", "file_url": "https://x"}], "input[0].content[0].file_url", "fetches none"),
        (
            [{"type": "input_file", "file_data": encoded(b"%PDF-1.7")}],
            "input[0].content[0].file_data",
            "text",
        ),
        ([{"type": "input_file", "file_data": encoded(b"\xff\0")}], "input[0].content[0].file_data", "text"),
        ([{"type": "input_file", "file_data": "data:;base64,?"}], "input[0].content[0].file_data", "text"),
        ([{"type": "input_audio"}], "input[0].content[0].input_audio", "Missing"),
        ([{"type": "input_audio", "input_audio": {}}], "input[0].content[0].input_audio.data", "Missing"),
    ],
)
def test_content_that_cannot_be_understood_is_named(content: Any, param: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        messages({"role": "user", "content": content})

    assert caught.value.param == param


# --- parameters


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
