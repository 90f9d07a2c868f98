"""Which bodies are taken, and which field a 400 names."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.messages.request import parse_messages_request
from qwen_worker.errors import InvalidRequest
from tests.unit.api.messages.bodies import USER, body, parsed


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [USER, "hi"]}, "messages.1"),
        ({"messages": [{"content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": ["user"], "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"system": 1}, "system"),
        ({"system": [{"type": "text", "text": 1}]}, "system.0.text"),
        ({"model": 1}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "1"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": "1"}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": "me"}, "metadata"),
        ({"thinking": {"type": "hard"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "1"}}, "thinking.budget_tokens"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [1]}, "tools.0"),
        ({"tools": [{"name": 1}]}, "tools.0.name"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences.1"),
        ({"stop_sequences": [""]}, "stop_sequences.0"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"1",
        b'"a"',
        b"\xff",
        b'{"a": NaN}',
        json.dumps(body()).encode() + b"{}",
        b"[" * 100_000,
    ],
    ids=["empty", "blank", "cut", "array", "number", "string", "no UTF-8", "NaN", "two values", "deep"],
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_messages_request(raw)
    assert caught.value.code in ("invalid_json", "invalid_type")
    assert caught.value.param is None


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_nothing_but_an_invalid_request_is_raised(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_messages_request(raw)


def test_a_count_needs_no_max_tokens() -> None:
    raw = json.dumps({"model": "m", "messages": [USER]}).encode()
    assert parse_messages_request(raw, is_count=True).model == "m"


def test_what_the_answer_needs() -> None:
    request = parsed(
        model="modèle", stream=True, stop_sequences=["ende", "終"], metadata={"user_id": "u"}, tools=None
    )
    assert (request.model, request.stream, request.user_id) == ("modèle", True, "u")
    assert request.stop_sequences == ("ende", "終")


@pytest.mark.parametrize("text", ["hi", "grüß 你好", "\u00e9 😀"])
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_the_body_is_decoded(text: str, ensure_ascii: bool) -> None:
    given_body = body(system=[{"type": "text", "text": text}], metadata={"note": text})
    raw = json.dumps(given_body, ensure_ascii=ensure_ascii).encode()
    assert parse_messages_request(raw).body() == given_body
