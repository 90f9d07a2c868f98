"""Any stream of chat chunks, however it is cut, is a stream of a message that says the same."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.errors import UpstreamTimeout
from tests.support.messages_grammar import read_messages_stream
from tests.unit.api.messages.streams import FACTS, USAGE, call, calls, chunk, encoded, translator, usage_chunk

Chunk = dict[str, Any]

texts = st.text(st.characters(codec="utf-8"), max_size=12)
arguments = st.dictionaries(texts, texts | st.integers() | st.lists(st.booleans(), max_size=2), max_size=3)


@st.composite
def call_deltas(draw: st.DrawFn, index: int, value: dict[str, Any]) -> list[Chunk]:
    """The deltas of one call: id and name first, the arguments in pieces."""
    text = "" if not value and draw(st.booleans()) else json.dumps(value)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    first = draw(st.sampled_from([pieces[0], ""]))
    deltas = [call(index, first, call_id=f"call_{index}", name=f"tool_{index}")]
    rest = pieces if first != pieces[0] else pieces[1:]
    return [*deltas, *(call(index, piece) for piece in rest)]


@st.composite
def completions(draw: st.DrawFn) -> tuple[list[Chunk], list[Any]]:
    """The chunks of a completion that is whole but for its end, and the inputs of its calls by number."""
    values = draw(st.lists(arguments, max_size=3))
    queues = [draw(call_deltas(index, value)) for index, value in enumerate(values)]
    chunks: list[Chunk] = [chunk({"role": "assistant", "content": "", "tool_calls": []})]
    for kind in draw(st.lists(st.sampled_from(["text", "reasoning", "call", "nothing"]), max_size=10)):
        waiting = [queue for queue in queues if queue]
        if kind == "text":
            chunks.append(chunk({"content": draw(texts), "reasoning_content": None}))
        elif kind == "reasoning":
            chunks.append(chunk({"content": None, "reasoning_content": draw(texts)}))
        elif kind == "call" and waiting:
            picked = draw(st.lists(st.sampled_from(waiting), min_size=1, max_size=2, unique_by=id))
            chunks.append(calls(*(queue.pop(0) for queue in picked)))
        else:
            chunks.append(chunk({}))
    chunks += [calls(delta) for queue in queues for delta in queue]
    return chunks, values


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def said(chunks: list[Chunk], field: str) -> str:
    return "".join(item["choices"][0]["delta"].get(field) or "" for item in chunks)


def squeezed(text: str) -> str:
    """Without white space: of a block that has nothing else nothing is sent."""
    return "".join(text.split())


@given(
    completions(), st.lists(st.integers(0), max_size=12), st.sampled_from(["\n\n", "\r\n\r\n"]), st.booleans()
)
def test_whole_streams(
    completion: tuple[list[Chunk], list[Any]], cuts: list[int], line_ends: str, with_usage: bool
) -> None:
    chunks, inputs = completion
    stream = encoded([*chunks, chunk(finish="stop"), *([usage_chunk()] if with_usage else [])])
    stream = stream.replace(b"\n\n", line_ends.encode())
    translate = translator()
    out = b"".join([translate.feed(piece) for piece in pieces_of(stream, cuts)]) + translate.end(None)

    read = read_messages_stream(out)
    assert read.error is None
    assert squeezed(read.text()) == squeezed(said(chunks, "content"))
    assert squeezed(read.text("thinking")) == squeezed(said(chunks, "reasoning_content"))
    assert sorted((call_id, value) for call_id, _, value in read.calls()) == [
        (f"call_{index}", value) for index, value in enumerate(inputs)
    ]
    if not inputs and not said(chunks, "reasoning_content") and said(chunks, "content").strip():
        assert read.text() == said(chunks, "content")
    assert read.message is not None
    assert read.message["usage"]["input_tokens"] == (40 if with_usage else FACTS.input_tokens)


@given(completions(), st.integers(0), st.sampled_from([None, UpstreamTimeout("Qwen fell silent.")]))
def test_a_stream_cut_anywhere_is_never_a_clean_end(
    completion: tuple[list[Chunk], list[Any]], cut: int, failure: UpstreamTimeout | None
) -> None:
    stream = encoded(completion[0], done=False)
    translate = translator()
    read = read_messages_stream(translate.feed(stream[: cut % (len(stream) + 1)]) + translate.end(failure))
    assert read.error is not None
    assert translate.error is not None
    if read.message is not None:
        assert read.message["stop_reason"] is None
        assert squeezed(said(completion[0], "content")).startswith(squeezed(read.text()))


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b'{"choices":[', b"[DONE]"])))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    translate = translator(stop_sequences=("E",))
    out = b"".join([translate.feed(piece) for piece in pieces])
    assert read_messages_stream(out + translate.end(None)).error is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "id", "function", "name", "arguments", "content", "tool_calls"]), inner
        )
    ),
)


@given(st.lists(json_values), json_values, json_values)
def test_no_chunk_breaks_it(deltas: list[Any], usage: Any, finish: Any) -> None:
    chunks = [{"choices": [{"delta": delta}], "usage": usage} for delta in deltas]
    translate = translator()
    out = translate.feed(encoded([*chunks, {"choices": [{"delta": {}, "finish_reason": finish}]}]))
    read_messages_stream(out + translate.end(None))


@given(completions())
def test_a_whole_answer_says_what_a_stream_says(completion: tuple[list[Chunk], list[Any]]) -> None:
    chunks, inputs = completion
    answer = {
        "content": said(chunks, "content"),
        "reasoning_content": said(chunks, "reasoning_content"),
        "tool_calls": [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": f"tool_{i}", "arguments": json.dumps(v)},
            }
            for i, v in enumerate(inputs)
        ],
    }
    whole = translator().whole({"choices": [{"message": answer, "finish_reason": "stop"}], "usage": USAGE})
    translate = translator()
    out = translate.feed(encoded([*chunks, chunk(finish="stop"), usage_chunk()])) + translate.end(None)
    streamed = read_messages_stream(out).message
    assert streamed is not None
    for field in ("id", "model", "stop_reason", "stop_sequence", "usage"):
        assert whole[field] == streamed[field]
    for kind in ("text", "thinking"):
        texts_of = [
            squeezed("".join(block[kind] for block in message["content"] if block["type"] == kind))
            for message in (whole, streamed)
        ]
        assert texts_of[0] == texts_of[1]
    assert [b["input"] for b in whole["content"] if b["type"] == "tool_use"] == inputs
