"""A Messages request as a chat completions request."""

import json
from typing import Any

import pytest

from qwen_worker.api.chat.request import parse_chat_request
from qwen_worker.errors import InvalidRequest
from tests.unit.api.messages.bodies import TOOL, USER, to_chat

MARK = {"type": "ephemeral"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.abc; cc_entrypoint=cli;"}


def text(value: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **fields}


def use(call_id: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def chat_call(call_id: str, arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


CALLED = {"role": "assistant", "content": "", "tool_calls": [chat_call("c1"), chat_call("c2")]}


def answered(call_id: str, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("be kind", [{"role": "system", "content": "be kind"}]),
        ([BILLING, text("a")], [{"role": "system", "content": "a"}]),
        ([text(""), text("a"), text("b")], [{"role": "system", "content": [text("a"), text("b")]}]),
        ([text("a", cache_control={"type": "ephemeral", "ttl": "1h"})],
         [{"role": "system", "content": [text("a", cache_control=MARK)]}]),
    ],
)  # fmt: skip
def test_system(system: Any, expected: list[Any]) -> None:
    assert to_chat(system=system)["messages"] == [*expected, USER]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([USER], [USER], id="string"),
        pytest.param([user(text("a"))], [{"role": "user", "content": "a"}], id="one text"),
        pytest.param([user(text("a"), text(""), text("b"))], [user(text("a"), text("b"))], id="texts"),
        pytest.param([user(text("see"), IMAGE)], [user(text("see"), IMAGE_PART)], id="image"),
        pytest.param(
            [user({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}})],
            [user({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}})],
            id="image by URL",
        ),
        pytest.param(
            [user({"type": "document", "title": "T", "context": "C",
                   "source": {"type": "text", "media_type": "text/plain", "data": "D"}})],
            [{"role": "user", "content": "T\n\nC\n\nD"}],
            id="document",
        ),
        pytest.param(
            [user({"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}})],
            [{"role": "user", "content": "a\nb"}],
            id="document of blocks",
        ),
        pytest.param(
            [user({"type": "search_result", "title": "T", "source": "s", "content": [text("a")]})],
            [{"role": "user", "content": "T\n\ns\n\na"}],
            id="search result",
        ),
        pytest.param(
            [USER, assistant(text("a"), text("b")), USER],
            [USER, {"role": "assistant", "content": "ab"}, USER],
            id="assistant",
        ),
        pytest.param(
            [USER, assistant({"type": "thinking", "thinking": "hm", "signature": ""}, text("a"))],
            [USER, {"role": "assistant", "content": "a", "reasoning_content": "hm"}],
            id="thinking",
        ),
        pytest.param(
            [USER, assistant({"type": "redacted_thinking", "data": "x"}, text("a"),
                             {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})],
            [USER, {"role": "assistant", "content": "a"}],
            id="what only Anthropic reads",
        ),
        pytest.param([USER, assistant(), USER], [USER, USER], id="an assistant that says nothing"),
        pytest.param(
            [USER, assistant(use("c1", "f", q="ü", n=1)), user(result("c1"))],
            [USER,
             {"role": "assistant", "content": "", "tool_calls": [chat_call("c1", '{"q":"ü","n":1}')]},
             answered("c1")],
            id="call",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")), user(text("and"), result("c2", "two"), result("c1", "one"))],
            [CALLED, answered("c1", "one"), answered("c2", "two"), {"role": "user", "content": "and"}],
            id="results in the order of the calls, before what is said beside",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")), user(result("c1")), {"role": "system", "content": "s"},
             user(result("c2"), text("b"))],
            [CALLED, answered("c1"), answered("c2"),
             {"role": "user", "content": "<system-reminder>\ns\n</system-reminder>"},
             {"role": "user", "content": "b"}],
            id="results in two messages",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")), user(result("c2"))],
            [CALLED, answered("c1", "There is no result of this call."), answered("c2")],
            id="a result is missing",
        ),
        pytest.param(
            [user(result("gone", "one"), text("b"))],
            [user(text("Result of a tool: one"), text("b"))],
            id="a result without its call",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")), user(result("c1", [text("a"), text("b")]), result("c2", None))],
            [CALLED, answered("c1", "a\nb"), answered("c2", "")],
            id="results of blocks and of nothing",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")),
             user(result("c1", "no such file", is_error=True), result("c2", is_error=False))],
            [CALLED, answered("c1", "Error: no such file"), answered("c2")],
            id="a tool that failed",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")),
             user(result("c1", [text("a"), IMAGE]), result("c2"), text("b"))],
            [CALLED, answered("c1", "a\n(Images are in the next message.)"), answered("c2"),
             user(text("Images of the tool result c1:"), IMAGE_PART), {"role": "user", "content": "b"}],
            id="an image in a result",
        ),
        pytest.param(
            [assistant(use("c1"), use("c2")),
             user(result("c1", [{"type": "tool_reference", "tool_name": "Grep"}]), result("c2"))],
            [CALLED, answered("c1", "The tool Grep is available."), answered("c2")],
            id="a tool that was searched for",
        ),
        pytest.param(
            [USER, {"role": "system", "content": "s"}, assistant(text("a"))],
            [USER, {"role": "user", "content": "<system-reminder>\ns\n</system-reminder>"},
             {"role": "assistant", "content": "a"}],
            id="system in its place",
        ),
        pytest.param(
            [user(text("a", cache_control=MARK), IMAGE | {"cache_control": {"type": "ephemeral"}}),
             assistant(use("c1"), use("c2")), user(result("c1"), result("c2", cache_control=MARK))],
            [user(text("a", cache_control=MARK), IMAGE_PART | {"cache_control": MARK}), CALLED,
             answered("c1"), answered("c2", [text("ok", cache_control=MARK)])],
            id="cache marks",
        ),
    ],
)  # fmt: skip
def test_messages(messages: list[Any], expected: list[Any]) -> None:
    assert to_chat(messages=messages)["messages"] == expected


def test_marks_are_left_out_where_the_host_does_not_honour_them() -> None:
    chat = to_chat(
        cache_marks=False,
        system=[text("a", cache_control=MARK)],
        tools=[TOOL | {"cache_control": MARK}],
        messages=[user(text("b", cache_control=MARK))],
    )
    assert "cache_control" not in json.dumps(chat)


def test_the_last_four_marks_count() -> None:
    chat = to_chat(
        system=[text("s", cache_control=MARK)],
        tools=[TOOL | {"cache_control": MARK}],
        messages=[user(*(text(str(i), cache_control=MARK) for i in range(4)))],
    )
    assert "cache_control" not in chat["tools"][0]
    assert chat["messages"][0]["content"] == [text("s")]
    assert all("cache_control" in part for part in chat["messages"][1]["content"])


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([user({"type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "x"}})],
         "messages.0.content.0.source.type"),
        ([user({"type": "document", "source": {"type": "file", "file_id": "x"}})],
         "messages.0.content.0.source.type"),
        ([user({"type": "image", "source": {"type": "file", "file_id": "x"}})],
         "messages.0.content.0.source.type"),
        ([user({"type": "image"})], "messages.0.content.0.source"),
        ([user({"type": "image", "source": {"type": "base64", "data": "x"}})],
         "messages.0.content.0.source.media_type"),
        ([user({"type": "container_upload", "file_id": "x"})], "messages.0.content.0.type"),
        ([user(text("a"), {"type": "tool_result"})], "messages.0.content.1.tool_use_id"),
        ([assistant({"type": "tool_use", "name": "f"})], "messages.0.content.0.id"),
        ([assistant({"type": "tool_use", "id": "c"})], "messages.0.content.0.name"),
        ([assistant(use("c")), user(result("c", 1))], "messages.1.content.0.content"),
        ([user(text(""))], "messages"),
    ],
)  # fmt: skip
def test_what_chat_cannot_say_is_named(messages: list[Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_chat(messages=messages)
    assert caught.value.param == param


def test_the_result_is_a_chat_request() -> None:
    chat = to_chat(
        system="s",
        tools=[TOOL],
        messages=[
            USER,
            assistant(use("c1")),
            user(result("c1", [IMAGE])),
            {"role": "system", "content": "t"},
        ],
        stream=True,
    )
    assert parse_chat_request(json.dumps(chat).encode()).stream
