"""What a client sees while a host is silent, and how a stream ends that is not whole."""

import pytest

from qwen_worker.errors import UpstreamTimeout
from tests.support.messages_grammar import read_messages_stream
from tests.unit.api.messages.streams import chunk, encoded, translated, translator, usage_chunk

HELLO = (chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}))
END = (chunk(finish="stop"), usage_chunk())


def test_pings_before_and_within_the_message() -> None:
    stream = translator()
    out = stream.keep_alive()
    for item in HELLO:
        out += stream.feed(encoded([item], done=False)) + stream.keep_alive()
    out += stream.feed(encoded(END)) + stream.end(None)
    read = read_messages_stream(out)
    assert read.pings == 4
    assert read.text() == "Hello"


@pytest.mark.parametrize("done", [True, False], ids=["[DONE]", "connection closed"])
def test_a_stream_that_breaks_off_is_an_error(done: bool) -> None:
    read = translated(*HELLO, done=done)
    assert read.error is not None
    assert read.error["error"]["type"] == "api_error"
    assert read.error["request_id"] == "req_1"
    assert read.message is not None
    assert read.message["stop_reason"] is None


def test_what_ended_the_stream_is_told() -> None:
    read = translated(*HELLO, done=False, failure=UpstreamTimeout("Qwen fell silent."))
    assert read.error is not None
    assert read.error["error"] == {"type": "timeout_error", "message": "Qwen fell silent."}


def test_a_failure_after_the_finish_reason_changes_nothing() -> None:
    read = translated(*HELLO, *END, done=False, failure=UpstreamTimeout("Qwen fell silent."))
    assert read.error is None
    assert read.text() == "Hello"


def test_a_stream_without_anything() -> None:
    read = translated(done=False)
    assert read.message is None
    assert read.error is not None


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "Too busy", "code": "x"}}\n\n',
        b'data: {"request_id": "r", "code": "InternalError", "message": "Too busy"}\n\n',
        b'event: error\n:HTTP_STATUS/429\ndata: {"code": "Throttling", "message": "Too busy"}\n\n',
    ],
    ids=["OpenAI's", "flat", "DashScope's"],
)
def test_an_error_of_the_hosts(event: bytes) -> None:
    stream = translator()
    out = stream.feed(encoded(HELLO, done=False)) + stream.feed(event)
    assert stream.is_over
    read = read_messages_stream(out + stream.end(None))
    assert read.text() == "Hello"
    assert read.error is not None
    assert "Too busy" in read.error["error"]["message"]
    assert stream.error is not None


def test_what_is_no_chunk_is_an_error() -> None:
    stream = translator()
    out = stream.feed(encoded(HELLO, done=False)) + stream.feed(b"data: <html>\n\n") + stream.end(None)
    assert read_messages_stream(out).error is not None


def test_facts_for_the_log() -> None:
    stream = translator()
    stream.feed(encoded((*HELLO, *END)))
    stream.end(None)
    assert (stream.finish_reason, stream.error, stream.is_over) == ("stop", None, True)
    assert stream.usage is not None
    assert stream.usage["prompt_tokens"] == 100
