"""The repaired stream: its framing is plain, its oddities are mended, its text is never altered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.chat.repair import StreamRepairer
from qwen_worker.errors import StreamFailed
from qwen_worker.upstream.error_reader import ErrorReader
from tests.support.chunks import DONE, FINISH, USAGE, USAGE_CHUNK, chunk, event, events, text


def repair(
    *pieces: bytes, include_usage: bool = False, failure: StreamFailed | None = None
) -> tuple[bytes, StreamRepairer]:
    repairer = StreamRepairer(
        include_usage=include_usage, event_error=ErrorReader(("the-secret",), lambda: 0).in_event
    )
    out = b""
    for piece in pieces:
        out += repairer.feed(piece)
        if repairer.is_over:
            break
    return out + repairer.end(failure), repairer


def said(*texts: str) -> bytes:
    return b"".join(text(each) for each in texts) + FINISH + DONE


ORDINARY = said("Hello", " ", "wörld", " 🙂")


@pytest.mark.parametrize(
    "stream",
    [
        ORDINARY,
        ORDINARY.replace(b"\n", b"\r\n"),
        ORDINARY.replace(b"\n", b"\r"),
        ORDINARY.replace(b"data: ", b"data:"),
        ORDINARY.replace(b"data: ", b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:"),
        b"\xef\xbb\xbf" + ORDINARY,
        b": ping\n\n" + ORDINARY.replace(b"\n\n", b"\n\n: ping\n\n"),
        ORDINARY.removesuffix(b"\n\n"),
        ORDINARY.removesuffix(DONE),
        ORDINARY.removesuffix(b"\n\n" + DONE),
        ORDINARY + text("more") + DONE,
    ],
)
def test_any_framing_becomes_plain(stream: bytes) -> None:
    assert repair(stream)[0] == ORDINARY
    assert repair(*(stream[place : place + 1] for place in range(len(stream))))[0] == ORDINARY


def test_data_of_several_lines_becomes_one() -> None:
    pretty = json.dumps(chunk("Hello\n"), indent=1).replace("\n", "\ndata: ")

    out, _ = repair(f"data: {pretty}\n\n".encode() + FINISH + DONE)

    assert events(out)[0] == chunk("Hello\n")
    assert b"\n" not in out.split(b"\n\n")[0]


def test_chunks_go_through_as_they_were_written() -> None:
    odd = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"x":1.10}], "big":12345678901234567890}\n\n'

    assert repair(odd + FINISH + DONE)[0] == odd + FINISH + DONE


@pytest.mark.parametrize(("include_usage", "usage_chunk"), [(True, USAGE_CHUNK), (False, b"")])
def test_usage_goes_to_who_asked(include_usage: bool, usage_chunk: bytes) -> None:
    out, repairer = repair(text("Hello") + FINISH + USAGE_CHUNK + DONE, include_usage=include_usage)

    assert out == text("Hello") + FINISH + usage_chunk + DONE
    assert repairer.usage == USAGE
    assert repairer.finish_reason == "stop"


@pytest.mark.parametrize(
    ("end", "failure", "expected"),
    [
        (b"", None, "stream_truncated"),
        (DONE, None, "stream_truncated"),
        (USAGE_CHUNK + DONE, None, "stream_truncated"),
        (b"", StreamFailed("broken"), "stream_failed"),
        (text("cut off")[:-20], StreamFailed("broken"), "stream_failed"),
        (b"data: no JSON\n\n", None, "stream_failed"),
        (
            b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"x","message":"y"}\n\n' + DONE,
            None,
            "stream_failed",
        ),
        (event(chunk("oh", finish="error_finish")) + DONE, None, "stream_failed"),
        (event({"error": {"message": "oh"}}) + text("more") + FINISH + DONE, None, "stream_failed"),
    ],
)
def test_a_completion_that_is_not_whole_ends_with_an_error(
    end: bytes, failure: StreamFailed | None, expected: str
) -> None:
    out, repairer = repair(text("Hello") + end, failure=failure)

    hello, error, done = events(out)
    assert hello == chunk("Hello")
    assert error["error"]["code"] == expected
    assert done == "[DONE]"
    assert repairer.error is not None


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    assert repair(text("Hello") + FINISH, failure=StreamFailed("broken"))[0] == text("Hello") + FINISH + DONE


@given(st.lists(st.text(max_size=6), max_size=30))
def test_ordinary_text_is_never_altered(texts: list[str]) -> None:
    stream = said(*texts)

    assert repair(stream)[0] == stream


def delta(choice: dict[str, Any], **fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": None, **choice}], **fields})


def calls(*fragments: dict[str, Any]) -> bytes:
    return delta({"delta": {"tool_calls": list(fragments)}})


def fragments_of(stream: bytes) -> list[dict[str, Any]]:
    return [
        fragment
        for data in events(stream)
        if data != "[DONE]"
        for choice in data["choices"]
        for fragment in choice["delta"].get("tool_calls", ())
    ]


def test_an_empty_finish_reason_is_none() -> None:
    out, _ = repair(delta({"delta": {"content": "Hi"}, "finish_reason": ""}) + FINISH + DONE)

    assert events(out)[0]["choices"][0]["finish_reason"] is None


def test_tool_calls_that_end_in_stop_end_in_tool_calls() -> None:
    call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    out, repairer = repair(calls(call) + FINISH + DONE)

    assert events(out)[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert repairer.finish_reason == "tool_calls"


def test_a_restated_null_name_is_left_out() -> None:
    first = {"index": 0, "id": "call-1", "function": {"name": "f", "arguments": "{"}}
    later = {"index": 0, "function": {"name": None, "arguments": "}"}}

    out, _ = repair(calls(first) + calls(later) + FINISH + DONE)

    assert fragments_of(out) == [first, {"index": 0, "function": {"arguments": "}"}}]


@pytest.mark.parametrize(
    ("fragments", "indexes"),
    [
        ([{"id": "a"}, {}, {"id": "b"}, {}], [0, 0, 1, 1]),
        ([{"index": 0, "id": "a"}, {"index": 0}, {"index": 0, "id": "b"}, {"index": 1}], [0, 0, 1, 1]),
        ([{"index": 0, "id": "a"}, {"index": 0, "id": ""}, {"index": 0, "id": "a"}], [0, 0, 0]),
        ([{"index": 0, "id": "a"}, {"index": 1, "id": "b"}, {"index": 0}, {"index": 1}], [0, 1, 0, 1]),
        ([{"index": 0, "id": "a"}, {"index": 0}, {"index": 0, "id": "b"}, {"index": 0}], [0, 0, 1, 1]),
        ([{"index": 1, "id": "b"}, {"index": 0, "id": "a"}], [1, 0]),
        ([{"index": None}, {"index": "0"}, {"index": -1}, {"index": 10**9}], [0, 0, 0, 0]),
    ],
)
def test_each_fragment_belongs_to_one_call(fragments: list[dict[str, Any]], indexes: list[int]) -> None:
    out, _ = repair(b"".join(calls(fragment) for fragment in fragments) + FINISH + DONE)

    assert [fragment["index"] for fragment in fragments_of(out)] == indexes


def test_a_stream_with_an_unfinished_choice_is_not_whole() -> None:
    out, repairer = repair(delta({"index": 1, "delta": {"content": "x"}}) + FINISH + DONE)

    assert events(out)[-2]["error"]["code"] == "stream_truncated"
    assert repairer.error is not None


def test_a_secret_in_an_error_within_the_stream_is_taken_out() -> None:
    error = {"code": "the-secret", "message": "the-secret", "param": "the-secret", "request_id": "the-secret"}

    out, _ = repair(text("Hello") + event({"error": error, "request_id": "the-secret"}))

    assert b"the-secret" not in out


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "delta", "finish_reason", "tool_calls", "id", "function", "name", "usage"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries({"choices": json_values}, optional={"usage": json_values})))
def test_whatever_a_chunk_holds_the_stream_ends_well(chunks: list[dict[str, Any]]) -> None:
    out, _ = repair(b"".join(map(event, chunks)))

    assert out.endswith(DONE)
