"""Every tool that a model can call becomes a function, and its call finds back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.responses.request import to_chat
from qwen_worker.api.responses.tools import LONGEST_NAME, Tool, convert_tools

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def function(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, **fields}


def namespace(name: str, *tools: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"type": "namespace", "name": name, "description": description, "tools": list(tools)}


def chat(tools: list[Any], **fields: Any) -> dict[str, Any]:
    return to_chat({"input": "Hi", "tools": tools, **fields}).chat


def names(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", [])]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            function(description="d", parameters=SCHEMA, strict=True, defer_loading=False),
            {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        ),
        (function(parameters=SCHEMA, strict=False), {"name": "f", "parameters": SCHEMA}),
        (function(parameters=None), {"name": "f", "parameters": {"type": "object", "properties": {}}}),
        (
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA}},
            {"name": "f", "parameters": SCHEMA},
        ),
    ],
)
def test_a_function_is_nested(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    assert chat([tool])["tools"] == [{"type": "function", "function": expected}]


def test_a_cache_mark_stays() -> None:
    mark = {"type": "ephemeral"}

    assert chat([function(cache_control=mark)])["tools"][0]["cache_control"] == mark


@pytest.mark.parametrize("form", [None, {"type": "text"}])
def test_a_custom_tool_takes_one_string(form: Any) -> None:
    [tool] = chat([{"type": "custom", "name": "say", "format": form}])["tools"]

    assert tool["function"]["parameters"]["required"] == ["input"]
    assert "description" not in tool["function"]


def test_a_namespace_is_flattened_and_told_once() -> None:
    tools = chat([namespace("ns", function("f", description="F."), function("g"), description="About.")])[
        "tools"
    ]

    assert [tool["function"]["name"] for tool in tools] == ["ns__f", "ns__g"]
    assert tools[0]["function"]["description"] == "About.\n\nF."
    assert "description" not in tools[1]["function"]


def test_a_namespace_of_an_mcp_server_gets_no_second_separator() -> None:
    assert names(chat([namespace("mcp__git__", function("log"))])) == ["mcp__git__log"]


def test_tools_that_an_item_brings_are_tools() -> None:
    items = [{"role": "user", "content": "Hi"}, {"type": "additional_tools", "tools": [function("late")]}]

    assert names(to_chat({"input": items}).chat) == ["late"]


wild_names = st.text(min_size=1, max_size=8) | st.sampled_from(
    ["a", "a__b", "b", "b__c", "x" * 70, "x" * 71, "é"]
)


@given(
    st.lists(
        st.builds(function, wild_names)
        | st.builds(lambda name: {"type": "custom", "name": name}, wild_names)
        | st.builds(
            lambda name, inner: namespace(name, *map(function, inner)), wild_names, st.lists(wild_names)
        )
    )
)
def test_no_two_tools_share_a_name_and_each_name_leads_back(listed: list[Any]) -> None:
    tools = convert_tools(listed)
    wanted = {(tool["name"], None) for tool in listed if tool["type"] != "namespace"} | {
        (inner["name"], tool["name"]) for tool in listed if "tools" in tool for inner in tool["tools"]
    }

    flat = [tool["function"]["name"] for tool in tools.functions]
    assert len(set(flat)) == len(flat) == len(wanted)
    assert {(tools.tool_of(name).name, tools.tool_of(name).namespace) for name in flat} == wanted
    for name in flat:
        assert 0 < len(name) <= LONGEST_NAME
        assert name.replace("_", "").replace("-", "").isalnum() or not name.strip("_-")
        assert name.isascii()
        tool = tools.tool_of(name)
        assert tools.function_of(tool.name, tool.namespace) == name


def test_namespaces_that_look_alike_when_they_are_flattened() -> None:
    flat = names(chat([namespace("a", function("b__c")), namespace("a__b", function("c"))]))

    assert flat[0] == "a__b__c"
    assert len(set(flat)) == 2


def test_the_same_tool_twice_is_one_tool() -> None:
    assert names(chat([function("f"), function("f"), namespace("n", function("f"), function("f"))])) == [
        "f",
        "n__f",
    ]


def test_a_function_that_does_not_exist_is_called_by_its_name() -> None:
    assert convert_tools([]).tool_of("nothing") == Tool("function", "nothing", None)


TOOLS = [function("f"), {"type": "custom", "name": "c"}, namespace("ns", function("f"), function("g"))]
ALL = ["f", "c", "ns__f", "ns__g"]


def forced(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("choice", "expected", "offered"),
    [
        (None, None, ALL),
        ("auto", "auto", ALL),
        ("none", "none", ALL),
        ("required", "required", ALL),
        ({"type": "function", "name": "f"}, forced("f"), ALL),
        ({"type": "function", "function": {"name": "f"}}, forced("f"), ALL),
        ({"type": "function", "name": "g", "namespace": "ns"}, forced("ns__g"), ALL),
        ({"type": "function", "name": "f", "namespace": "ns"}, forced("ns__f"), ALL),
        ({"type": "function", "name": "ns__g"}, forced("ns__g"), ALL),
        ({"type": "custom", "name": "c"}, forced("c"), ALL),
        ({"type": "web_search"}, "auto", ALL),
        ({"type": "mcp", "server_label": "x"}, "auto", ALL),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            "required",
            ["f"],
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "ns"}]},
            "auto",
            ["ns__f", "ns__g"],
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "custom", "name": "c"}, {"type": "mcp"}],
                },
            },
            "auto",
            ["c"],
        ),
    ],
)
def test_tool_choice(choice: Any, expected: Any, offered: list[str]) -> None:
    body = chat(TOOLS, tool_choice=choice)

    assert body.get("tool_choice") == expected
    assert names(body) == offered


def test_without_tools_nothing_is_said_of_tools() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": []}
    for tools, choice in (([], "required"), ([{"type": "web_search"}], "required"), (TOOLS, allowed)):
        body = chat(tools, tool_choice=choice, parallel_tool_calls=True)

        assert not body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


def test_parallel_tool_calls_is_passed_on() -> None:
    assert chat(TOOLS, parallel_tool_calls=False)["parallel_tool_calls"] is False
