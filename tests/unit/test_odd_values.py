"""Any JSON value in any field of what an upstream sends: no bug of ours shows, and a stream ends well."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.chunks import DONE, FINISH, text
from tests.support.clock import run_virtual
from tests.support.one_account import OneAccount
from tests.support.ports import ScriptedResponse
from tests.support.streams import StreamResponse

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "repaired": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "messages": (
        "/v1/messages",
        {"model": "qwen3-max", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    ),
}
ENDINGS = {
    "chat": b"data: [DONE]\n\n",
    "repaired": b"data: [DONE]\n\n",
    "responses": b'"type":"response.',
    "messages": b"event: ",
}

FULL: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "delta": {
                "role": "assistant",
                "content": "hi",
                "reasoning_content": "hm",
                "refusal": None,
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "call-1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            "message": {
                "role": "assistant",
                "content": "hi",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            "logprobs": {"content": [{"token": "hi", "logprob": 0.0, "top_logprobs": []}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
    "error": None,
    "code": None,
    "message": None,
    "request_id": "r",
    "status": None,
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each value is in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        found += places(inner, (*path, name))
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The same JSON value with another one in a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


ODD: tuple[Any, ...] = (
    *(None, True, -1, 1e308, 10**400, "", "x", "error_finish", "\ud800"),
    *([], [None], [1], {}, {"x": {"y": []}}, [{}], [{"index": 10**12, "function": None}]),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def event_of(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def check(kind: str, answer: Any, *, stream: bool) -> None:
    """Asks, and looks at how it ends."""

    async def run() -> None:
        qwen = OneAccount(answer, QWEN_BASE_URL="https://host.example/v1")
        path, body = REQUESTS[kind]
        told = await qwen.post({**body, "stream": stream}, path)
        assert qwen.logs.events("unexpected error") == []
        assert told.status != 500
        if told.status != 200 or not stream:
            json.loads(told.data)
            return
        assert told.data.endswith(b"\n\n")
        last = told.data[:-2].rpartition(b"\n\n")[2] + b"\n\n"
        assert ENDINGS[kind] in last
        assert told.data.count(b"[DONE]") <= 1
        assert len(qwen.logs.events("stream ended")) == 1

    run_virtual(run())


def check_most(kind: str, value: Any) -> None:
    """The value as a first event, as a last one, and as a whole answer."""
    odd = event_of(value)
    check(kind, StreamResponse(odd, text("x") + FINISH + DONE), stream=True)
    check(kind, StreamResponse(text("x"), odd, DONE), stream=True)
    check(kind, ScriptedResponse(200, json.dumps(value), {"content-type": "application/json"}), stream=False)


def check_all(kind: str, value: Any) -> None:
    """The same, and in the middle, without [DONE], cut off, and as an error's body."""
    check_most(kind, value)
    odd = event_of(value)
    for pieces in ((odd, FINISH + DONE), (odd,), (odd[: len(odd) // 2],)):
        check(kind, StreamResponse(text("x"), *pieces), stream=True)
    check(kind, ScriptedResponse(400, json.dumps(value), {"content-type": "application/json"}), stream=True)


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("place", places(FULL), ids=str)
def test_any_field_may_hold_any_of_these_values(kind: str, place: tuple[Any, ...]) -> None:
    for odd in ODD:
        check_most(kind, with_value(FULL, place, odd))


@pytest.mark.parametrize("kind", REQUESTS)
@given(place=st.sampled_from(places(FULL)), other=st.sampled_from(places(FULL)), odd=JSON, more=JSON)
@example(place=("usage",), other=("choices",), odd=None, more=None)
@settings(max_examples=40, deadline=None)
def test_any_two_fields_may_hold_any_values(kind: str, place: Any, other: Any, odd: Any, more: Any) -> None:
    value = with_value(FULL, place, odd)
    with suppress(KeyError, IndexError, TypeError):  # the first one may have replaced what is around it
        value = with_value(value, other, more)
    check_all(kind, value)


@pytest.mark.parametrize("kind", REQUESTS)
@given(value=JSON)
@settings(max_examples=40, deadline=None)
def test_any_value_may_be_an_event(kind: str, value: Any) -> None:
    check_all(kind, value)
