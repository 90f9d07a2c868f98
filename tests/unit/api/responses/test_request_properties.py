"""Whatever a client sends, the chat says the same, or the client is told what is wrong."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.api.responses.request import to_chat
from qwen_worker.errors import InvalidRequest
from tests.unit.api.responses.translating import json_values

texts = st.text(min_size=1, max_size=8) | st.sampled_from(["\u00e9\U0001f642", "\n\n", "data: x\n\n", '"\\'])

content_parts = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, texts),
    st.builds(
        lambda url, detail: {"type": "image_url", "image_url": {"url": url, "detail": detail}},
        texts,
        st.sampled_from(["low", "high", "auto"]),
    ),
    st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
)


def as_part(part: dict[str, Any], kind: str) -> dict[str, Any]:
    """A chat part in the words of the Responses API."""
    if part["type"] == "text":
        return {"type": kind, "text": part["text"]}
    if part["type"] == "image_url":
        url = part["image_url"]
        return {"type": "input_image", "image_url": url["url"], "detail": url.get("detail")}
    return part


@st.composite
def chats(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A chat as it must be: each call answered directly behind it."""
    messages: list[dict[str, Any]] = [
        {"role": draw(st.sampled_from(["system", "developer"])), "content": draw(texts)}
        for _ in range(draw(st.integers(0, 2)))
    ]
    for turn in range(draw(st.integers(1, 3))):
        parts = draw(st.lists(content_parts, min_size=2, max_size=3))
        messages.append(
            {"role": "user", "content": draw(st.sampled_from([parts, parts[0].get("text", "x")]))}
        )
        said: dict[str, Any] = {"role": "assistant", "content": draw(texts)}
        if draw(st.booleans()):
            said["reasoning_content"] = draw(texts)
        ids = [f"call_{turn}_{number}" for number in range(draw(st.integers(0, 2)))]
        if ids:
            said["tool_calls"] = [
                {"id": each, "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
                for each in ids
            ]
            said["content"] = draw(st.none() | texts)
        messages += [said, *({"role": "tool", "tool_call_id": each, "content": draw(texts)} for each in ids)]
    return messages


def as_items(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A chat message as the items that a client of the Responses API would send."""
    role, content = message["role"], message["content"]
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": content}]
    if role != "assistant":
        parts = content if isinstance(content, str) else [as_part(part, "input_text") for part in content]
        return [{"type": "message", "role": role, "content": parts}]
    items: list[dict[str, Any]] = []
    if "reasoning_content" in message:
        part = {"type": "summary_text", "text": message["reasoning_content"]}
        items.append({"type": "reasoning", "id": "rs_1", "summary": [part]})
    if content is not None:
        part = {"type": "output_text", "text": content}
        items.append({"type": "message", "role": role, "id": "msg_1", "content": [part]})
    for call in message.get("tool_calls", []):
        items.append({"type": "function_call", "call_id": call["id"], **call["function"]})  # noqa: PERF401
    return items


@settings(max_examples=200, deadline=None)
@given(chats())
def test_nothing_that_chat_can_say_is_lost(messages: list[dict[str, Any]]) -> None:
    items = [item for message in messages for item in as_items(message)]

    assert to_chat({"input": items}).chat["messages"] == messages


field_names = st.sampled_from(
    [
        *(
            "type",
            "role",
            "content",
            "text",
            "id",
            "call_id",
            "name",
            "arguments",
            "output",
            "input",
            "namespace",
        ),
        *("summary", "image_url", "input_audio", "file_data", "format", "schema", "mode", "tools", "effort"),
    ]
)
words = st.sampled_from(
    [
        *("message", "user", "assistant", "system", "function_call", "function_call_output", "reasoning"),
        *("custom_tool_call", "item_reference", "compaction", "input_text", "input_image", "input_file"),
        *("function", "custom", "namespace", "allowed_tools", "json_schema", "auto", "additional_tools"),
    ]
)
wild_values = st.recursive(
    json_values | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(field_names, inner | words, max_size=5),
    max_leaves=12,
)
body_names = st.sampled_from(
    [
        *(
            "input",
            "tools",
            "tool_choice",
            "text",
            "reasoning",
            "instructions",
            "include",
            "stream",
            "metadata",
        ),
        *("max_output_tokens", "temperature", "top_logprobs", "store", "model", "parallel_tool_calls"),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(body_names, wild_values, max_size=5), wild_values)
def test_nothing_but_an_invalid_request_is_ever_raised(body: dict[str, Any], value: Any) -> None:
    for candidate in (
        body,
        {**body, "input": value},
        {"input": "Hi", "tools": [value], "tool_choice": value},
    ):
        try:
            chat = to_chat(candidate).chat
        except InvalidRequest:
            continue
        json.dumps(chat)
        check_chat(chat["messages"])


def check_chat(messages: list[dict[str, Any]]) -> None:
    """Each call is answered once, directly behind it, and nothing else is an answer."""
    expected: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == expected.pop(0)
            continue
        assert expected == []
        expected = [call["id"] for call in message.get("tool_calls", [])]
        assert len(set(expected)) == len(expected)
        assert message["content"] is not None or expected
    assert expected == []
