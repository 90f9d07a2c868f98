"""How a natively relayed stream is ended, whatever it has said."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.chat.stream_end import end_of_stream
from qwen_worker.errors import ProxyError, StreamFailed
from qwen_worker.stream_tail import KEPT_BYTES, StreamTail
from qwen_worker.upstream.error_reader import ErrorReader
from tests.support.chunks import DONE, FINISH, USAGE, USAGE_CHUNK, chunk, event, events, text

BROKEN = StreamFailed("The connection broke.")


DIALECT = ChatDialect(include_usage=True)
ERRORS = ErrorReader((), lambda: 0)


class Ending(NamedTuple):
    closing: bytes
    error: ProxyError | None
    finish_reason: str | None
    usage: dict[str, Any] | None


def end(*pieces: bytes, failure: StreamFailed | None = None) -> Ending:
    tail = StreamTail()
    for piece in pieces:
        tail.feed(piece)
    ending = end_of_stream(tail, failure, ERRORS.in_event, is_done=DIALECT.is_done(tail))
    told = DIALECT.end_of_stream(tail, failure, ERRORS.in_event)
    assert (told.closing, told.completion[1:]) == (ending.closing, ending.completion[1:])
    assert (told.completion.error is None) == (ending.completion.error is None)
    return Ending(ending.closing, *ending.completion)


def code(data: Any) -> str:
    found: str = data["error"]["code"]
    return found


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_nothing_is_added_to_a_whole_stream(newline: bytes, pieces: int) -> None:
    stream = (text("Hello") + FINISH + USAGE_CHUNK + DONE).replace(b"\n", newline)
    size = max(1, len(stream) // pieces)

    ending = end(*(stream[start : start + size] for start in range(0, len(stream), size)))

    assert ending == Ending(b"", None, "stop", USAGE)


@pytest.mark.parametrize(
    "stream", [FINISH + DONE, FINISH + USAGE_CHUNK + DONE, text('"}') * 500 + FINISH + DONE]
)
def test_the_end_of_nearly_all_streams_is_recognised_at_once(
    stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closer_look(*_: Any, **__: Any) -> None:
        raise AssertionError("looked at closely")

    monkeypatch.setattr("qwen_worker.api.chat.stream_end.end_of_stream", closer_look)
    tail = StreamTail()
    tail.feed(text("Hello") + stream)

    assert DIALECT.end_of_stream(tail, None, ERRORS.in_event).completion.error is None


def test_the_finish_reason_and_the_usage_may_be_in_one_chunk() -> None:
    ending = end(event(chunk(finish="length", usage=USAGE)) + DONE)

    assert (ending.finish_reason, ending.usage, ending.error) == ("length", USAGE, None)


@pytest.mark.parametrize(
    ("end_of_upstream", "added"),
    [
        (FINISH, DONE),
        (FINISH[:-1], b"\n" + DONE),
        (FINISH[:-2], b"\n\n" + DONE),
        (FINISH + DONE[:-1], b"\n"),
        (FINISH + DONE[:-2], b"\n\n"),
        (FINISH + USAGE_CHUNK, DONE),
        (FINISH + b": ping\n\n", DONE),
    ],
)
def test_what_is_missing_at_a_clean_end_is_added(end_of_upstream: bytes, added: bytes) -> None:
    ending = end(text("Hello") + end_of_upstream)

    assert ending.closing == added
    assert ending.error is None


@pytest.mark.parametrize(
    "stream",
    [text("Hello"), text('"finish_reason":"stop"'), text("Hello") + USAGE_CHUNK, text("Hello")[:-2], b""],
)
def test_an_end_without_a_finish_reason_is_an_error(stream: bytes) -> None:
    ending = end(stream)

    error, done = events(stream + ending.closing)[-2:]
    assert code(error) == "stream_truncated"
    assert done == "[DONE]"
    assert ending.error is not None


@pytest.mark.parametrize("stream", [text("Hello"), text("Hello") * 2 + b": ping\n\n"])
def test_a_broken_stream_is_an_error(stream: bytes) -> None:
    ending = end(stream, failure=BROKEN)

    error, done = events(stream + ending.closing)[-2:]
    assert code(error) == "stream_failed"
    assert done == "[DONE]"
    assert ending.error is BROKEN


def test_a_connection_that_breaks_after_the_last_chunk_does_no_harm() -> None:
    assert end(text("Hello") + FINISH, failure=BROKEN) == Ending(DONE, None, "stop", None)
    assert end(text("Hello") + FINISH + USAGE_CHUNK, failure=BROKEN).error is None


def test_a_connection_that_breaks_before_the_other_choice_has_finished_is_an_error() -> None:
    assert end(FINISH + text("the other one"), failure=BROKEN).error is BROKEN


@given(st.data())
def test_a_chunk_cut_off_anywhere_becomes_the_error(data: st.DataObject) -> None:
    whole = event(chunk('Hé "llo" \\ 🙂\n'))
    cut = data.draw(st.integers(1, len(whole) - 3))
    stream = text("Hello") + whole[:cut]

    ending = end(stream, failure=BROKEN)

    first, *rest = events_of_clients(stream + ending.closing)
    assert first["choices"][0]["delta"]["content"] == "Hello"
    assert [code(error) for error in rest[:-1]] == ["stream_failed"]
    assert rest[-1] == "[DONE]"


def test_a_last_chunk_cut_off_is_an_error_even_after_the_finish_reason() -> None:
    stream = FINISH + USAGE_CHUNK[:30]

    assert code(events(stream + end(stream).closing)[-2]) == "stream_truncated"


@pytest.mark.parametrize(
    "error",
    [
        b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling","message":"Slow down."}\n\n',
        event(chunk('{"error":{"code":"429","message":"Slow down."}}', finish="error_finish")),
    ],
)
def test_an_error_that_clients_do_not_understand_is_told_again(error: bytes) -> None:
    ending = end(text("Hello") + error)

    told, done = events(ending.closing)
    assert code(told) == "stream_failed"
    assert "Slow down." in told["error"]["message"]
    assert done == "[DONE]"


def test_an_error_that_clients_understand_is_not_told_twice() -> None:
    ending = end(text("Hello") + event({"error": {"code": "Throttling", "message": "Slow down."}}))

    assert ending.closing == DONE
    assert ending.error is not None
    assert ending.error.code == "stream_failed"


def test_nothing_follows_done_even_if_there_was_no_finish_reason() -> None:
    ending = end(text("Hello") + DONE)

    assert ending.closing == b""
    assert ending.error is not None
    assert ending.error.code == "stream_truncated"


FLAT = event({"code": "InternalError", "message": "Broke down.", "request_id": "r-1"})
ERROR_FINISH = event(chunk("Broke down.", finish="error_finish"))


@pytest.mark.parametrize("error", [FLAT, ERROR_FINISH, event({"error": {"message": "Broke down."}})])
@pytest.mark.parametrize("after", [b"", USAGE_CHUNK, b": ping\n\n", USAGE_CHUNK + b": ping\n\n", FINISH])
@pytest.mark.parametrize("done", [b"", DONE])
def test_no_error_counts_as_an_end_whatever_follows_it(error: bytes, after: bytes, done: bytes) -> None:
    ending = end(text("Hello") + error + after + done)

    assert ending.error is not None
    assert ending.error.code == "stream_failed"
    if done:
        assert ending.closing == b"", "nothing that follows [DONE] is read by a client"
    else:
        told = events_of_clients(text("Hello") + error + after + ending.closing)
        assert told[-1] == "[DONE]"
        assert sum("error" in each for each in told) == 1


def test_an_error_finish_far_from_the_end_is_one_too() -> None:
    stream = text("Hello") + ERROR_FINISH + b'data: {"choices":[]}\n\n' * 6

    ending = end(stream)

    assert ending.error is not None
    assert ending.error.code == "stream_failed" or ending.error.code == "stream_truncated"
    assert b'"error"' in ending.closing


def test_memory_is_bounded() -> None:
    tail = StreamTail()
    for _ in range(100):
        tail.feed(text("word ") * 500)

    assert len(tail.kept) <= KEPT_BYTES
    assert tail.size_bytes == 100 * 500 * len(text("word "))
    assert end(tail.kept, FINISH, DONE).error is None


def events_of_clients(stream: bytes) -> list[Any]:
    """As `events`, but as clients read: lines of no known field are nothing."""
    blocks = [block for block in stream.split(b"\n\n") if b"data:" in block]
    return events(
        b"".join(block[block.index(b"data:") :] + b"\n\n" for block in blocks).replace(b"data:{", b"data: {")
    )
