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
    "completions": ("/v1/completions", {"prompt": "hi"}),
}
NATIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "responses": REQUESTS["responses"],
    "messages": REQUESTS["messages"],
    "embeddings": ("/v1/embeddings", {"model": "text-embedding-v4", "input": "hi"}),
}
ENDINGS = {
    "completions": b"data: [DONE]\n\n",
    "chat": b"data: [DONE]\n\n",
    "repaired": b"data: [DONE]\n\n",
    "responses": b"event: response.",
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
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def check(kind: str, answer: Any, *, stream: bool, native: bool = False) -> None:
    """Asks, and looks at how it ends."""

    async def run() -> None:
        host = {"base_url": "https://host.example/v1"}
        ways = {"responses": "native", "messages": "native"} if native else {}
        qwen = OneAccount(answer, QWEN_API_KEY=json.dumps({"api_key": "upstream-key-1", **host, **ways}))
        path, body = (NATIVE if native else REQUESTS)[kind]
        told = await qwen.post({**body, "stream": True} if stream else body, path)
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


USAGE = {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 0}}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "hi"}]}],
    "usage": USAGE,
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": USAGE,
}
EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "m",
    "usage": USAGE,
}
WHOLE = {"responses": RESPONSE, "messages": MESSAGE, "embeddings": EMBEDDINGS}
EVENTS: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress"}},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": "hi"},
        {"type": "response.completed", "sequence_number": 2, "response": RESPONSE},
    ],
    "messages": [
        {"type": "message_start", "message": {**MESSAGE, "content": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
        {"type": "message_stop"},
    ],
}


def named(event: Any) -> bytes:
    kind = event.get("type") if isinstance(event, dict) else None
    name = (
        f"event: {kind}\n".encode()
        if isinstance(kind, str) and kind.isascii() and kind.isprintable()
        else b""
    )
    return name + event_of(event)


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_answers_of_hosts_that_speak_other_apis_may_too(kind: str) -> None:
    for place in places(WHOLE[kind]):
        for odd in ODD:
            answer = json.dumps(with_value(WHOLE[kind], place, odd))
            check(kind, ScriptedResponse(200, answer), stream=False, native=True)


@pytest.mark.parametrize("kind", EVENTS)
def test_streams_of_hosts_that_speak_other_apis_may_too(kind: str) -> None:
    events = EVENTS[kind]
    for index, each in enumerate(events):
        for place in places(each):
            for odd in ODD[::2]:
                changed = [*events[:index], with_value(each, place, odd), *events[index + 1 :]]
                check(kind, StreamResponse(*map(named, changed)), stream=True, native=True)


@pytest.mark.parametrize("kind", EVENTS)
@given(value=JSON)
@settings(max_examples=40, deadline=None)
def test_any_value_may_be_an_event_of_theirs(kind: str, value: Any) -> None:
    pieces = [*map(named, EVENTS[kind])]
    for index in range(len(pieces)):
        changed = [*pieces[:index], event_of(value), *pieces[index:]]
        check(kind, StreamResponse(*changed), stream=True, native=True)
    check(kind, ScriptedResponse(200, json.dumps(value)), stream=False, native=True)
