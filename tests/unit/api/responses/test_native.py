"""Streams of a host that speaks the Responses API: how they end, told from their last bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.responses.dialect import ResponsesDialect
from qwen_worker.api.responses.native import native_body
from qwen_worker.api.responses.native_end import KEPT_BYTES
from qwen_worker.dialect import StreamEnd
from qwen_worker.errors import ProxyError, StreamFailed
from qwen_worker.stream_tail import StreamTail
from qwen_worker.upstream.error_reader import ErrorReader
from tests.unit.api.responses.translating import translator

FAILURE = StreamFailed("The connection to Qwen broke in the middle of the stream.")
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


def event(number: int, kind: str, **fields: Any) -> bytes:
    """An event as Qwen frames it."""
    data = json.dumps({"sequence_number": number, "type": kind, **fields}, separators=(",", ":"))
    return f"id:{number}\nevent:{kind}\n:HTTP_STATUS/200\ndata:{data}\n\n".encode()


CREATED = event(0, "response.created", response={"id": "resp_9", "status": "in_progress", "output": []})
DELTA = event(1, "response.output_text.delta", delta='Say "type":"response.completed" {')


def last(status: str = "completed", **fields: Any) -> bytes:
    response = {"id": "resp_9", "status": status, "usage": USAGE, "output": [], **fields}
    return event(2, f"response.{status}", response=response)


def end_of(*pieces: bytes, failure: ProxyError | None = None) -> StreamEnd:
    """How a stream ends of which these pieces went through."""
    dialect, tail = ResponsesDialect(translator(), may_be_native=True), StreamTail(KEPT_BYTES)
    assert dialect.is_healthy_start(CREATED)
    for piece in pieces:
        tail.feed(piece)
    end = dialect.end_of_stream(tail, failure, ErrorReader((), lambda: 0).in_event)
    assert not (end.closing and dialect.is_done(tail))
    return end


@pytest.mark.parametrize("behind", [b"", b"data: [DONE]\n\n", b": a comment\n\n"])
@pytest.mark.parametrize("failure", [None, FAILURE])
def test_a_stream_that_has_ended_well(behind: bytes, failure: ProxyError | None) -> None:
    end = end_of(CREATED, DELTA, last(), behind, failure=failure)

    assert end.closing == b""
    assert end.completion == (None, "completed", USAGE)


def test_line_ends_of_other_hosts() -> None:
    stream = (CREATED + DELTA + last("incomplete")).replace(b"\n", b"\r\n")

    assert end_of(stream).completion.finish_reason == "incomplete"


@pytest.mark.parametrize("size", [40_000, KEPT_BYTES - 500, KEPT_BYTES, 2 * KEPT_BYTES])
def test_a_last_event_of_any_length(size: int) -> None:
    end = end_of(CREATED, DELTA, last(instructions="x" * size))

    assert end.closing == b""
    assert end.completion.error is None


def test_a_response_that_has_failed() -> None:
    end = end_of(CREATED, last("failed", error={"code": "server_error", "message": "Oh."}))

    assert end.closing == b""
    assert isinstance(end.completion.error, StreamFailed)


@given(st.data(), st.sampled_from([None, FAILURE]))
def test_a_stream_that_is_cut_anywhere_fails_once(data: st.DataObject, failure: ProxyError | None) -> None:
    stream = CREATED + DELTA + last()
    place = data.draw(st.integers(len(CREATED), len(stream) - 2))
    end = end_of(stream[:place], failure=failure)

    assert end.completion.error is not None
    blocks = (stream[:place] + end.closing).split(b"\n\n")
    assert blocks[-1] == b""
    failed = json.loads(blocks[-2].partition(b"data: ")[2])
    assert failed["type"] == "response.failed"
    assert failed["response"]["id"] == "resp_9"
    assert failed["response"]["error"]["message"]
    found = [line[5:] for block in blocks[:-2] for line in block.split(b"\n") if line.startswith(b"data:")]
    believed = [json.loads(text) for text in found if b"response.completed" not in text or b"delta" in text]
    assert failed["sequence_number"] > (believed[-1].get("sequence_number") or 0)


@pytest.mark.parametrize(
    ("body", "model", "sent"),
    [
        ('{"model":"qwen3-max","input":"Hi"}', "qwen3-max", '{"model":"qwen3-max","input":"Hi"}'),
        ('{"input":"ä", "model" : "mine"}', "qwen3-max", '{"input":"ä", "model" : "qwen3-max"}'),
        ('{"input":"Hi"}', "qwen3-max", '{"model":"qwen3-max","input":"Hi"}'),
        ('\ufeff {"input":{"model":"x"},"model":null}', "a", ' {"input":{"model":"x"},"model":"a"}'),
    ],
)
def test_only_the_models_name_is_another_one(body: str, model: str, sent: str) -> None:
    assert native_body(body.encode(), model).decode() == sent
