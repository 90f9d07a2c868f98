"""What is decided before the client is told 200."""

import json
import time
from typing import Any

import pytest

from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.messages.dialect import MessagesDialect
from qwen_worker.dialect import Dialect, Relaying
from qwen_worker.errors import ProxyError, UpstreamBlocked
from qwen_worker.upstream.connection import Connection
from qwen_worker.upstream.error_reader import ErrorReader
from qwen_worker.upstream.first_event import (
    LONGEST_FIRST_EVENT_BYTES,
    LONGEST_PREAMBLE_BYTES,
    StreamStart,
    read_first_event,
)
from tests.support.chunks import DONE, USAGE_CHUNK, chunk, event, text
from tests.support.clock import VirtualClock
from tests.support.streams import StreamResponse

THROTTLED = {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded."}


async def start_of(
    *pieces: bytes, include_usage: bool = False, dialect: Dialect | None = None
) -> StreamStart:
    """What is known of a stream when its first event has come. Raises ProxyError."""
    clock = VirtualClock()
    answer = StreamResponse(*pieces)
    connection = Connection(clock)
    connection.opened(answer)
    chat = ChatDialect(include_usage=include_usage)
    try:
        return await read_first_event(answer, dialect or chat, connection, ErrorReader((), clock.now_ms))
    except ProxyError:
        assert answer.body.is_cancelled
        raise


async def relaying_of(start: bytes, *, include_usage: bool = False) -> Relaying:
    """How a stream is relayed, the same however it is cut."""
    byte_by_byte = (start[place : place + 1] for place in range(len(start)))
    slow = await start_of(*byte_by_byte, include_usage=include_usage)
    quick = await start_of(start, include_usage=include_usage)
    assert slow.relaying == quick.relaying
    return quick.relaying


def called(call: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """A chunk with a fragment of a tool call."""
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": finish_reason}]}


def is_healthy_start(start: bytes) -> bool:
    return ChatDialect(include_usage=False).is_healthy_start(start)


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
        event(called({"index": 0, "id": "call-1", "function": {"name": "f", "arguments": ""}})),
    ],
)
async def test_a_chunk_is_relayed_natively(start: bytes) -> None:
    assert await relaying_of(start) == "native"


@pytest.mark.parametrize("start", [text("Hello"), text("Hello") * 3 + DONE, event(chunk("\r\n\n"))])
def test_what_nearly_all_streams_begin_with_is_recognised_at_once(start: bytes) -> None:
    assert is_healthy_start(start)


async def test_more_is_awaited_until_the_first_event_is_complete() -> None:
    pieces = (b": ping\n\n", b"d", text("Hello")[1:-1], b"\n", text("more"))

    start = await start_of(*pieces)

    assert start.head == b": ping\n\n" + text("Hello")
    assert await start.reader.read() == text("more")


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
async def test_an_error_in_the_first_event_has_its_own_status(
    start: bytes, status: int, code: str | None
) -> None:
    assert not is_healthy_start(start + text("and more"))
    with pytest.raises(ProxyError) as raised:
        await relaying_of(start + text("and more"))

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
async def test_what_is_no_stream_is_an_error_once_it_has_ended(body: bytes, status: int) -> None:
    with pytest.raises(ProxyError) as raised:
        await start_of(body)

    assert raised.value.status == status


async def test_a_first_event_without_its_blank_line_counts_once_the_stream_has_ended() -> None:
    assert await relaying_of(text("Hello").rstrip()) == "native"


async def test_a_long_first_event_passes_up_to_a_bound() -> None:
    long = text("x" * 3_000_000)
    pieces = [long[place : place + 4096] for place in range(0, len(long), 4096)]

    assert (await start_of(*pieces)).head == long
    with pytest.raises(UpstreamBlocked):
        await start_of(b"data: ", *[b"x" * 1_000_000] * (LONGEST_FIRST_EVENT_BYTES // 1_000_000 + 1))


async def test_comments_before_the_first_event_are_bounded() -> None:
    comments = b":" + b" " * 98 + b"\n"

    assert (await start_of(comments * 2000, text("Hello"))).head.endswith(text("Hello"))
    with pytest.raises(UpstreamBlocked):
        await start_of(*[comments * 10] * (LONGEST_PREAMBLE_BYTES // 1000 + 1), text("Hello"))


@pytest.mark.parametrize(
    "piece",
    [b":\n" * 1000, b": ping\n", b"\n" * 1000, b"event: x\n" * 100, b":", b"x\n", b": ping\n\n"],
    ids=repr,
)
async def test_what_begins_with_nothing_but_comments_costs_little_and_is_refused(piece: bytes) -> None:
    """300,000 lines of comments once took 46 seconds: each piece had all before it parsed again."""
    pieces = [piece] * (600_000 // len(piece) + 1)
    began = time.process_time()

    with pytest.raises(UpstreamBlocked):
        await start_of(*pieces, text("Hello"))

    assert time.process_time() - began < 5


@pytest.mark.parametrize("size_bytes", [1, 10, 100])
async def test_the_cost_of_a_first_event_grows_with_its_length_only(size_bytes: int) -> None:
    """However small the pieces are in which it arrives."""

    async def cost_of(pieces: int) -> float:
        long = text("x" * pieces * size_bytes)
        cut = [long[place : place + size_bytes] for place in range(0, len(long), size_bytes)]
        began = time.process_time()
        assert (await start_of(*cut)).head == long
        return time.process_time() - began

    await cost_of(1000)
    short = min([await cost_of(4_000) for _ in range(3)])
    assert await cost_of(32_000) < 8 * short * 3


async def test_pings_before_the_first_event_cost_little_too() -> None:
    """A host that speaks Messages sends them while it waits."""
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    began = time.process_time()

    with pytest.raises(UpstreamBlocked):
        await start_of(*[ping] * 20_000, dialect=MessagesDialect("request-1"))

    assert time.process_time() - began < 5


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
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": ""}]}),
        event(called({"id": "call-1", "function": {"name": "f", "arguments": ""}})),
        event(called({"index": None, "id": "call-1", "function": {"name": "f", "arguments": ""}})),
        event(called({"index": 0, "id": "call-1", "function": {"name": None, "arguments": "{}"}})),
        event(called({"index": 0, "id": "call-1", "function": {"name": "f"}}, finish_reason="stop")),
    ],
)
async def test_what_clients_misread_is_repaired(start: bytes) -> None:
    assert await relaying_of(start) == "repaired"


async def test_an_event_without_choices_is_passed_on_to_who_asked_for_usage() -> None:
    assert await relaying_of(USAGE_CHUNK, include_usage=True) == "native"
