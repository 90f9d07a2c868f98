"""Whatever a host streams, and however it is cut, a strict client reads the same texts."""

import json
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.errors import StreamFailed
from tests.simulator.sse import BYTE_ORDER_MARK, NEWLINES, Framing
from tests.support.responses_grammar import Stream, read_stream
from tests.unit.api.responses.translating import USAGE, asked, json_values, translator

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
