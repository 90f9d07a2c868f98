"""What is decided before the client is told 200."""

import json

import pytest
from qwen_worker.api.chat.healthy_stream import is_healthy_start

from qwen_worker.api.chat.stream_start import Relaying, classify_first_event
from qwen_worker.errors import ProxyError
from tests.support.chunks import DONE, USAGE_CHUNK, chunk, event, text

THROTTLED = {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded."}


def judge(start: bytes, *, ended: bool = False, include_usage: bool = False) -> Relaying | None:
    verdict = classify_first_event(
        start, ended=ended, include_usage=include_usage, header=lambda _: None, now_ms=0
    )
    assert verdict == "native" or not is_healthy_start(start)
    return verdict


@pytest.mark.parametrize(
    "start",
    [
        text("Hello"),
        text("Hello") * 3 + DONE,
        text("").replace(b"data: ", b"data:"),
        text("Hello").replace(b"\n", b"\r\n"),
        b": ping\n\n" + text("Hello"),
        b"\n\n: ping\r\n" + text("Hello"),
        event(chunk('about "error" and "error_finish"')),
        event({"choices": [{"delta": {"role": "assistant"}}], "error": None}),
        b'data: {"choices" : [ {"delta":{}} ] }\n\n',
    ],
)
def test_a_chunk_is_relayed_natively(start: bytes) -> None:
    assert judge(start) == "native"


@pytest.mark.parametrize("start", [text("Hello"), text("Hello") * 3 + DONE, event(chunk("\r\n\n"))])
def test_what_nearly_all_streams_begin_with_is_recognised_at_once(start: bytes) -> None:
    assert is_healthy_start(start)


@pytest.mark.parametrize(
    "start", [b"", b"d", text("Hello")[:-1], b": ping\n\n", b"id:1\nevent:error\n", b"\xef"]
)
def test_more_is_awaited_until_the_first_event_is_complete(start: bytes) -> None:
    assert judge(start) is None


@pytest.mark.parametrize(
    ("start", "status", "code"),
    [
        (event({"error": THROTTLED}), 429, "rate_limit_exceeded"),
        (b"id:1\nevent:error\n:HTTP_STATUS/429\ndata:" + json.dumps(THROTTLED).encode() + b"\n\n", 429, None),
        (b":HTTP_STATUS/400\n" + event({"code": "InvalidParameter", "message": "bad"}), 400, None),
        (event(chunk(json.dumps({"error": {**THROTTLED, "code": "429"}}), finish="error_finish")), 429, None),
        (event(chunk("Insufficient quota exceeded", finish="error_finish")), 429, None),
        (DONE, 502, "upstream_blocked"),
        (b"data: <html>\n\n", 502, "upstream_blocked"),
        (event({"hello": "world"}), 502, "upstream_blocked"),
    ],
)
def test_an_error_in_the_first_event_has_its_own_status(start: bytes, status: int, code: str | None) -> None:
    assert not is_healthy_start(start + text("and more"))
    with pytest.raises(ProxyError) as raised:
        judge(start + text("and more"))

    assert raised.value.status == status
    assert code is None or raised.value.code == code


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 502),
        (b": ping\n\n", 502),
        (b"<html>Verify that you are human</html>", 502),
        (b'{"id":"chatcmpl-1","object":"chat.completion","choices":[]}', 502),
        (b'{"error":{"code":"insufficient_quota","message":"Free allocated quota exceeded."}}', 429),
        (b'data: {"id":"chatcmpl-1","cho', 502),
    ],
)
def test_what_is_no_stream_is_an_error_once_it_has_ended(body: bytes, status: int) -> None:
    assert judge(body) is None

    with pytest.raises(ProxyError) as raised:
        judge(body, ended=True)

    assert raised.value.status == status


def test_a_first_event_without_its_blank_line_counts_once_the_stream_has_ended() -> None:
    assert judge(text("Hello").rstrip(), ended=True) == "native"


def test_a_first_event_is_not_awaited_for_ever() -> None:
    with pytest.raises(ProxyError):
        judge(b"x" * 1_100_000)


@pytest.mark.parametrize(
    "start",
    [
        b"id:1\n" + text("Hello"),
        b"event:result\n" + text("Hello"),
        b"id:1\nevent:result\n:HTTP_STATUS/200\n" + text("Hello"),
        b"\xef\xbb\xbf" + text("Hello"),
        text("Hello").replace(b"\n", b"\r"),
        b"data: {\ndata: " + text("Hello")[7:],
        USAGE_CHUNK,
    ],
)
def test_what_clients_misread_is_rewritten(start: bytes) -> None:
    assert judge(start) == "rewritten"


def test_an_event_without_choices_is_passed_on_to_who_asked_for_usage() -> None:
    assert judge(USAGE_CHUNK, include_usage=True) == "native"
