"""Whatever a host streams, and however it is cut, a strict client reads the same texts; and whatever a client
sends, the chat says the same or the client is told what is wrong.
"""

import json
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.api.responses.request import to_chat
from qwen_worker.errors import InvalidRequest, StreamFailed
from tests.simulator.sse import BYTE_ORDER_MARK, NEWLINES, Framing
from tests.support.responses_grammar import Stream, read_stream
from tests.unit.api.responses.translating import USAGE, asked, translator

Delta = dict[str, Any]

texts = st.text(min_size=1, max_size=8) | st.sampled_from(["\u00e9\U0001f642", "\n\n", "data: x\n\n", '"\\'])


class Said(NamedTuple):
    """What a host streams, and what of it a client must read."""

    deltas: list[Delta]
    text: str
    reasoning: str
    calls: list[tuple[str, Any]]


@st.composite
def pieces(draw: st.DrawFn, whole: str) -> list[str]:
    """A text in pieces."""
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


@st.composite
def call_deltas(draw: st.DrawFn, index: int) -> tuple[list[Delta], tuple[str, Any]]:
    """The deltas of one call: the name first, empty ids later, as Qwen has them, or no ids."""
    name = draw(st.sampled_from(["f", "g", "apply_patch"]))
    with_braces = draw(st.booleans())
    value: dict[str, str] = draw(st.dictionaries(st.sampled_from(["input", "a"]), texts, max_size=2))
    arguments = json.dumps(value) if value or with_braces else ""
    first, *rest = draw(pieces(arguments))
    start: dict[str, Any] = {
        "index": index,
        "id": f"call_{index}",
        "function": {"name": name, "arguments": first},
    }
    later: dict[str, Any] = draw(st.sampled_from([{"id": ""}, {}, {"id": None}, {"id": f"call_{index}"}]))
    deltas = [{"tool_calls": [start]}] + [
        {"tool_calls": [{"index": index, **later, "function": {"arguments": piece}}]} for piece in rest
    ]
    return deltas, (name, value)


NOISE: list[Delta] = [{}, {"content": ""}, {"content": None, "tool_calls": []}, {"role": "assistant"}]


@st.composite
def conversations(draw: st.DrawFn) -> Said:
    """Reasoning, texts and calls, the calls at the same time or one after the other."""
    deltas: list[Delta] = []
    text = reasoning = ""
    calls: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["text", "reasoning", "both", "calls", "noise"]))
        said = draw(texts)
        if kind == "noise":
            deltas.append(draw(st.sampled_from(NOISE)))
        elif kind == "calls":
            both = [draw(call_deltas(len(calls) + place)) for place in range(draw(st.integers(1, 3)))]
            queues = [each for each, _ in both]
            calls += [call for _, call in both]
            # Calls begin in their order; what follows may be mixed.
            deltas += [queue.pop(0) for queue in queues] if draw(st.booleans()) else []
            while any(queues):
                queue = draw(st.sampled_from([queue for queue in queues if queue]))
                deltas.append(queue.pop(0))
        else:
            if kind in ("reasoning", "both"):
                reasoning += said
                deltas.append({"reasoning_content": said})
            if kind in ("text", "both"):
                text += said
                deltas.append({"content": said})
            if kind == "both":
                deltas[-2:] = [{"reasoning_content": said, "content": said}]
    return Said(deltas, text, reasoning, calls)


framings = st.builds(
    Framing,
    newline=st.sampled_from(list(NEWLINES)),
    space=st.booleans(),
    id_lines=st.booleans(),
    event_lines=st.booleans(),
    comment_every=st.integers(0, 3),
)


def chunks_of(deltas: list[Delta], finish: str | None) -> list[str]:
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas
    ]
    if finish is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        chunks.append({"choices": [], "usage": USAGE})
    return [json.dumps(each, ensure_ascii=False) for each in chunks]


def send(data: bytes, places: list[int], failure: StreamFailed | None = None) -> Stream:
    stream = translator(asked(tools=[{"type": "custom", "name": "apply_patch"}]))
    out = b""
    for a, b in zip([0, *places], [*places, len(data)], strict=True):
        out += stream.feed(data[a:b])
    return read_stream(out + stream.end(failure))


def calls_in(stream: Stream) -> list[tuple[str, Any]]:
    """The calls as they were made, by their ids."""
    calls = {}
    for item in stream.response["output"]:
        if item["type"] == "function_call":
            calls[item["call_id"]] = (item["name"], json.loads(item["arguments"]))
        elif item["type"] == "custom_tool_call":
            calls[item["call_id"]] = (item["name"], item["input"])
    return [calls[call_id] for call_id in sorted(calls)]


def as_client_sees(call: tuple[str, Any]) -> tuple[str, Any]:
    name, value = call
    if name != "apply_patch":
        return call
    return (name, value["input"] if "input" in value else next(iter(value.values()), ""))


@settings(max_examples=300, deadline=None)
@given(conversations(), framings, st.booleans(), st.data())
def test_however_a_stream_is_cut_the_client_reads_what_the_host_said(
    said: Said, framing: Framing, has_mark: bool, data: st.DataObject
) -> None:
    payloads = [*chunks_of(said.deltas, data.draw(st.sampled_from(["stop", "tool_calls"]))), "[DONE]"]
    sent = b"".join(framing.event(payload, number) for number, payload in enumerate(payloads))
    sent = BYTE_ORDER_MARK + sent if has_mark else sent
    places = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    stream = send(sent, places)

    assert stream.response["status"] == "completed"
    assert (stream.text, stream.reasoning) == (said.text, said.reasoning)
    assert calls_in(stream) == list(map(as_client_sees, said.calls))
    assert stream.response["usage"]["total_tokens"] == 18


@settings(max_examples=200, deadline=None)
@given(conversations(), st.data())
def test_a_stream_that_breaks_anywhere_keeps_to_the_grammar_and_is_never_completed(
    said: Said, data: st.DataObject
) -> None:
    sent = b"".join(Framing().event(payload, 0) for payload in chunks_of(said.deltas, None))
    broken = sent[: data.draw(st.integers(0, len(sent)))]
    stream = send(broken, [], data.draw(st.sampled_from([None, StreamFailed("broken")])))

    assert stream.response["status"] == "failed"
    assert said.text.startswith(stream.text)
    assert said.reasoning.startswith(stream.reasoning)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
delta_names = st.sampled_from(
    ["content", "reasoning_content", "tool_calls", "function_call", "refusal", "index", "id", "function"]
)
wild_deltas = st.recursive(
    json_values,
    lambda inner: st.dictionaries(
        delta_names | st.sampled_from(["name", "arguments"]), inner | st.lists(inner)
    ),
    max_leaves=8,
)
wild_chunks = wild_deltas | st.builds(
    lambda delta, finish: {"choices": [{"delta": delta, "finish_reason": finish}]},
    wild_deltas,
    st.none() | st.sampled_from(["stop", "length", "content_filter", "error_finish", "x"]) | json_values,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(wild_chunks | st.just("[DONE]"), max_size=6))
def test_whatever_a_host_streams_becomes_a_stream_that_clients_read(chunks: list[Any]) -> None:
    payloads = [each if each == "[DONE]" else json.dumps(each) for each in chunks]
    send(b"".join(Framing().event(payload, 0) for payload in payloads), [])


# --- requests

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
