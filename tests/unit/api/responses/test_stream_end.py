"""How a stream ends: completed only if it is whole, and nothing is closed that was cut off."""

from typing import Any

import pytest

from qwen_worker.errors import (
    InternalError,
    InvalidRequest,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    StreamFailed,
    UpstreamTimeout,
)
from tests.support.chunks import DONE, event
from tests.support.responses_grammar import read_stream
from tests.unit.api.responses.translating import (
    END,
    USAGE_CHUNK,
    call,
    delta,
    finish,
    text,
    translate,
    translator,
)


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("function_call", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_the_finish_reason_decides(reason: str, status: str, details: Any) -> None:
    stream = translate(text("Hello"), finish(reason), DONE)

    assert (stream.response["status"], stream.response["incomplete_details"]) == (status, details)
    assert stream.items("message")[0]["status"] == status


@pytest.mark.parametrize(
    ("end", "failure", "message"),
    [
        (b"", None, "before the completion was finished"),
        (DONE, None, "before the completion was finished"),
        (USAGE_CHUNK + DONE, None, "before the completion was finished"),
        (b"", StreamFailed("broken"), "broken"),
        (text("cut off")[:-20], StreamFailed("broken"), "broken"),
        (b"data: no JSON\n\n", None, "not a chat completion chunk"),
        (b'id:1\nevent:error\n:HTTP_STATUS/500\ndata:{"code":"x","message":"oh"}\n\n' + DONE, None, "oh"),
        (delta("error_finish", content="oh") + DONE, None, "oh"),
        (event({"error": {"message": "oh"}}) + text("more") + END, None, "oh"),
        (event({"choices": [], "error": {"message": "oh"}}) + text("more") + END, None, "oh"),
    ],
)
def test_a_stream_that_is_not_whole_has_failed(end: bytes, failure: ProxyError | None, message: str) -> None:
    stream = translate(text("Hello") + end, failure=failure)

    assert stream.response["status"] == "failed"
    assert stream.response["error"]["code"] == "server_error"
    assert message in stream.response["error"]["message"]
    assert stream.text == "Hello"
    assert stream.items("message")[0]["status"] == "incomplete"
    assert "response.output_item.done" not in stream.types


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    assert translate(text("Hello") + finish(), failure=StreamFailed("x")).response["status"] == "completed"


@pytest.mark.parametrize("arguments", ["", '{"path": "/"', '{"path'])
@pytest.mark.parametrize("reason", ["length", None])
def test_a_call_that_was_cut_off_is_never_done(arguments: str, reason: str | None) -> None:
    """A client runs what is done."""
    chunks = [text("I will"), call(0, arguments, call_id="c", name="remove")]
    stream = translate(*chunks, finish(reason) if reason else b"", DONE)

    [item] = stream.items("function_call")
    assert (item["status"], item["arguments"]) == ("incomplete", arguments)
    assert stream.response["status"] == ("incomplete" if reason else "failed")
    done = [each["item"]["type"] for each in stream.events if each["type"].endswith("item.done")]
    assert "function_call" not in done
    assert "response.function_call_arguments.done" not in stream.types


def test_a_finished_call_of_a_cut_answer_is_done() -> None:
    stream = translate(
        call(0, '{"a": 1}', call_id="c", name="f"),
        call(1, '{"b', call_id="d", name="f"),
        finish("length"),
        DONE,
    )

    assert [item["status"] for item in stream.items("function_call")] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InvalidRequest("x", code="context_length_exceeded"), "context_length_exceeded", "x"),
        (QuotaExhausted("x"), "insufficient_quota", "x"),
        (RateLimited("x", retry_after_seconds=1.5), "rate_limit_exceeded", "x Please try again in 1.5s."),
        (RateLimited("x"), "rate_limit_exceeded", "x"),
        (InvalidRequest("x"), "invalid_prompt", "x"),
        (UpstreamTimeout("x", retry_after_seconds=3), "server_error", "x"),
        (InternalError("x"), "server_error", "x"),
    ],
)
def test_errors_have_the_codes_that_codex_reads(error: ProxyError, code: str, message: str) -> None:
    assert translate(failure=error).response["error"] == {"code": code, "message": message}


def test_an_error_within_the_stream_keeps_its_meaning() -> None:
    throttled = b':HTTP_STATUS/429\ndata:{"code":"Throttling.RateQuota","message":"slow down"}\n\n'
    stream = translator()
    out = stream.feed(text("a") + throttled)
    assert stream.is_over
    response = read_stream(out + stream.end(None)).response

    assert response["error"]["code"] == "rate_limit_exceeded"
    assert "try again in 10.0s" in response["error"]["message"]
    assert isinstance(stream.error, StreamFailed)


def test_nothing_follows_the_end() -> None:
    stream = translator()
    out = stream.feed(text("a") + END + text("b"))
    out += stream.feed(text("c"))

    assert read_stream(out + stream.end(None)).text == "a"
