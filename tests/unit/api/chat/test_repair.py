"""The rewriting relay: framing made plain, text never altered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.chat.repair import StreamRewriter
from qwen_worker.errors import StreamFailed
from tests.support.chunks import DONE, FINISH, USAGE, USAGE_CHUNK, chunk, content, event, events, text


def rewrite(
    *pieces: bytes, include_usage: bool = False, failure: StreamFailed | None = None
) -> tuple[bytes, StreamRewriter]:
    rewriter = StreamRewriter(include_usage=include_usage, now_ms=lambda: 0)
    out = b""
    for piece in pieces:
        out += rewriter.feed(piece)
        if rewriter.is_over:
            break
    out += rewriter.end(failure)
    assert rewriter.size_bytes == len(out)
    return out, rewriter


def said(*texts: str) -> bytes:
    return b"".join(text(each) for each in texts) + FINISH + DONE


def cumulative(*texts: str) -> bytes:
    return said(*("".join(texts[: count + 1]) for count in range(len(texts))))


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
    assert rewrite(stream)[0] == ORDINARY
    assert rewrite(*(stream[place : place + 1] for place in range(len(stream))))[0] == ORDINARY


def test_data_of_several_lines_becomes_one() -> None:
    pretty = json.dumps(chunk("Hello\n"), indent=1).replace("\n", "\ndata: ")

    out, _ = rewrite(f"data: {pretty}\n\n".encode() + FINISH + DONE)

    assert events(out)[0] == chunk("Hello\n")
    assert b"\n" not in out.split(b"\n\n")[0]


def test_chunks_go_through_as_they_were_written() -> None:
    odd = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"x":1.10}], "big":12345678901234567890}\n\n'

    assert rewrite(odd + FINISH + DONE)[0] == odd + FINISH + DONE


@pytest.mark.parametrize(("include_usage", "usage_chunk"), [(True, USAGE_CHUNK), (False, b"")])
def test_usage_goes_to_who_asked(include_usage: bool, usage_chunk: bytes) -> None:
    out, rewriter = rewrite(text("Hello") + FINISH + USAGE_CHUNK + DONE, include_usage=include_usage)

    assert out == text("Hello") + FINISH + usage_chunk + DONE
    assert rewriter.usage == USAGE
    assert rewriter.finish_reason == "stop"


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
    out, rewriter = rewrite(text("Hello") + end, failure=failure)

    hello, error, done = events(out)
    assert hello == chunk("Hello")
    assert error["error"]["code"] == expected
    assert done == "[DONE]"
    assert rewriter.error is not None


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    assert rewrite(text("Hello") + FINISH, failure=StreamFailed("broken"))[0] == text("Hello") + FINISH + DONE


SENTENCE = ["The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", "."]


def test_cumulative_deltas_become_increments() -> None:
    out, _ = rewrite(cumulative(*SENTENCE))

    assert content(out) == "".join(SENTENCE)
    assert [data["choices"][0]["delta"].get("content") for data in events(out)[:-2]] == SENTENCE


def test_cumulative_reasoning_and_content_become_increments() -> None:
    def deltas(name: str) -> bytes:
        so_far = ["".join(SENTENCE[: count + 1]) for count in range(len(SENTENCE))]
        return b"".join(
            event({"choices": [{"index": 0, "delta": {name: each}, "finish_reason": None}]})
            for each in so_far
        )

    out, _ = rewrite(deltas("reasoning_content") + deltas("content") + FINISH + DONE)

    assert content(out) == "".join(SENTENCE)
    thoughts = [data["choices"][0]["delta"].get("reasoning_content") for data in events(out)[:10]]
    assert thoughts == SENTENCE


def test_the_last_cumulative_chunk_may_say_everything_again() -> None:
    everything = "".join(SENTENCE)
    stream = cumulative(*SENTENCE).removesuffix(FINISH + DONE) + event(chunk(everything)) + FINISH + DONE

    assert content(rewrite(stream)[0]) == everything


@pytest.mark.parametrize(
    "texts",
    [
        ["ha", "ha", "ha"],
        ["ha", "haha", "hahaha", "hahahaha", "hahahahaha", "hahahahahaha" * 3],
        ["*", "**", "****", "********", "****************", "*" * 32],
        ["a", "ab", "abc"],
        ["The quick", "The quick brown", "The quick brown fox", " and so on"],
        ["1", "12", "123", "1234", "12345", "4"],
        ["x", "", "xy", "", "xyz"],
    ],
)
def test_repeated_text_is_left_alone(texts: list[str]) -> None:
    stream = said(*texts)

    assert rewrite(stream)[0] == stream


@given(st.lists(st.text(alphabet="ab ", max_size=6), max_size=30))
def test_ordinary_text_is_never_altered(texts: list[str]) -> None:
    stream = said(*texts)

    assert rewrite(stream)[0] == stream


def test_an_ordinary_chunk_waits_for_the_next_one_at_most() -> None:
    rewriter = StreamRewriter(include_usage=False, now_ms=lambda: 0)
    assert rewriter.feed(event(chunk(""))) == event(chunk(""))

    rewriter.feed(text("Hello"))

    assert rewriter.feed(text(" world")) == text("Hello") + text(" world")
    assert rewriter.feed(text("!")) == text("!")


def test_several_choices_are_left_alone() -> None:
    def delta(index: int, said: str) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {"content": said}, "finish_reason": None}]}

    so_far = ["".join(SENTENCE[: count + 1]) for count in range(len(SENTENCE))]
    stream = b"".join(event(delta(index, each)) for each in so_far for index in (0, 1)) + FINISH + DONE

    assert rewrite(stream)[0] == stream
