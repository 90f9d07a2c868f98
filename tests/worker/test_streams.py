"""Streams through the real workerd, as the SDKs and a raw client see them, against a misbehaving Qwen.

On a Worker without wrangler's front proxy, which turns a broken connection into a clean end.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, OpenAI, RateLimitError
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.node_client import run_node
from tests.worker.harness.runtime import embedded_only

MODEL = "qwen3-coder-plus"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
KEEP_ALIVE_SECONDS = 0.6
IDLE_TIMEOUT_SECONDS = 3.0

pytestmark = embedded_only()


@pytest.fixture(scope="module")
def streaming_worker(simulator: QwenSimulator) -> Iterator[DirectWorker]:
    """A Worker with little patience."""
    worker = DirectWorker(
        {
            **oauth_variables(simulator),
            "LOG_LEVEL": "info",
            "STREAM_KEEP_ALIVE_SECONDS": str(KEEP_ALIVE_SECONDS),
            "STREAM_IDLE_TIMEOUT_SECONDS": str(IDLE_TIMEOUT_SECONDS),
        }
    )
    yield worker
    worker.stop()


@pytest.fixture
def client(streaming_worker: DirectWorker) -> Iterator[OpenAI]:
    with OpenAI(base_url=streaming_worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


def ask(client: OpenAI, simulate: Any, **options: Any) -> Iterator[ChatCompletionChunk]:
    """A stream from the SDK."""
    return iter(
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, extra_body={"simulate": simulate}, **options
        )
    )


def request_of(simulate: Any, **options: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": MESSAGES, "stream": True, "simulate": simulate, **options}


def raw(worker: DirectWorker, simulate: Any, **options: Any) -> httpx.Response:
    """A whole stream, byte by byte as it came."""
    return httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json=request_of(simulate, **options),
        timeout=20,
    )


def relayed(response: httpx.Response) -> str:
    """The stream after the comments that a busy machine may have made the Worker begin with."""
    text = response.text
    while text.startswith(": keep-alive\n\n"):
        text = text.removeprefix(": keep-alive\n\n")
    return text


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def collected(chunks: Iterator[ChatCompletionChunk]) -> tuple[str, APIError]:
    """The text that a user has seen when the SDK raises, and what it raises."""
    seen: list[ChatCompletionChunk] = []
    with pytest.raises(APIError) as raised:
        seen.extend(chunks)
    return text_of(seen), raised.value


def in_stream_error(response: httpx.Response) -> dict[str, Any]:
    """The error event just before the one `[DONE]` that ends the stream."""
    *_, error, done, nothing = response.text.split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    assert response.text.count("[DONE]") == 1
    found: dict[str, Any] = json.loads(error.removeprefix("data: "))["error"]
    assert set(found) >= {"message", "type", "param", "code"}
    return found


def usage_line(worker: DirectWorker, response: httpx.Response) -> dict[str, Any]:
    return worker.log.wait_for("stream ended", request_id=response.headers["x-request-id"])


# --- the beginning


def test_headers_of_a_stream(streaming_worker: DirectWorker) -> None:
    headers = raw(streaming_worker, {"text": ["Hello"]}).headers

    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert "content-length" not in headers
    assert headers["x-request-id"]


def test_each_chunk_arrives_when_qwen_sends_it(client: OpenAI) -> None:
    simulate = {"text": ["a", "b", "c"], "chunk_delay_ms": 300}
    arrivals = {
        chunk.choices[0].delta.content: time.monotonic()
        for chunk in ask(client, simulate)
        if chunk.choices[0].delta.content
    }

    assert arrivals["b"] - arrivals["a"] > 0.2
    assert arrivals["c"] - arrivals["b"] > 0.2


@pytest.mark.parametrize("fault", ["error_event_first", "error_data_first", "error_finish_first"])
def test_an_error_that_comes_first_has_its_real_status(client: OpenAI, fault: str) -> None:
    with pytest.raises(RateLimitError) as raised:
        list(ask(client, {"name": fault, "error": "throttling_rate_quota"}))

    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["retry-after"]


@pytest.mark.parametrize(
    "fault",
    [
        "empty_200",
        "empty_stream_200",
        "html_200",
        "captcha_200",
        "json_instead_of_sse",
        {"raw": [": only comments\n\n"]},
        {"raw": ["data: [DONE]\n\n"]},
        {"raw": ['data: {"id": "chatcmpl-1", "cho']},
        {"raw": ["<html>Welcome</html>"]},
    ],
)
def test_a_200_that_is_no_stream_is_a_502(streaming_worker: DirectWorker, fault: Any) -> None:
    response = raw(streaming_worker, fault)

    assert response.status_code == 502
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["type"] == "upstream_error"


def test_a_connection_that_breaks_before_the_first_event_is_a_502(
    start_direct_worker: StartDirectWorker,
) -> None:
    assert raw(start_direct_worker({}), {"abort_after": 0}).status_code == 502


@pytest.mark.parametrize("fault", [{"abort_after": 0}, {"name": "error_event_first", "error": "bad_gateway"}])
def test_what_fails_in_passing_before_the_first_event_is_tried_again(
    streaming_worker: DirectWorker, fault: dict[str, Any]
) -> None:
    response = raw(streaming_worker, {**fault, "fail_first": 1, "then": {"text": ["Hello"]}})
    assert response.status_code == 200
    assert "Hello" in response.text


# --- keep-alive


@pytest.mark.parametrize("silence", ["delay_before_headers_ms", "delay_before_first_chunk_ms"])
def test_a_silent_qwen_is_bridged_with_comments(streaming_worker: DirectWorker, silence: str) -> None:
    began = time.monotonic()
    with httpx.stream(
        "POST",
        f"{streaming_worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json=request_of({silence: 1500, "text": ["Hello"]}),
    ) as response:
        pieces = response.iter_text()
        first = next(pieces)
        first_after = time.monotonic() - began
        everything = first + "".join(pieces)

    assert first.startswith(": keep-alive\n\n")
    assert KEEP_ALIVE_SECONDS - 0.1 < first_after < 1.4
    assert everything.startswith(": keep-alive\n\n: keep-alive\n\ndata: {")
    assert everything.endswith("data: [DONE]\n\n")


def test_sdks_do_not_see_the_comments(client: OpenAI, streaming_worker: DirectWorker) -> None:
    simulate = {"delay_before_headers_ms": 1000, "text": ["Hello", " world"]}

    assert text_of(list(ask(client, simulate))) == "Hello world"
    assert node_text(node_stream(streaming_worker, simulate)) == "Hello world"


def test_an_error_after_a_comment_is_an_event(client: OpenAI) -> None:
    text, error = collected(ask(client, {"name": "bad_request", "delay_before_headers_ms": 1000}))

    assert text == ""
    assert error.code == "invalid_parameter_error"
    assert error.type == "invalid_request_error"


def test_a_qwen_silent_after_its_headers_is_given_up(streaming_worker: DirectWorker) -> None:
    response = raw(streaming_worker, {"delay_before_first_chunk_ms": 30_000})

    assert in_stream_error(response)["code"] == "upstream_timeout"


# --- the end


def test_a_whole_stream_is_passed_on_byte_by_byte(streaming_worker: DirectWorker) -> None:
    script = [
        'data: {"id":"1","choices":[{"index":0,"delta":{"content":"ä 🙂"}}]}\n\n',
        ': a comment\n\ndata:{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x":1.50}\n\n',
        "data: [DONE]\n\n",
    ]

    assert relayed(raw(streaming_worker, {"raw": script})) == "".join(script)


@pytest.mark.parametrize(
    ("simulate", "code"),
    [
        ("death_mid_stream", "stream_failed"),
        ({"abort_after": 3, "reset": True}, "stream_failed"),
        ("end_without_finish", "stream_truncated"),
        ("usage_without_finish", "stream_truncated"),
        ("stall_mid_stream", "upstream_timeout"),
        ({"error_event_after": 3}, "stream_failed"),
        ({"error_finish_after": 3}, "stream_failed"),
    ],
)
def test_half_an_answer_raises_in_every_sdk(
    client: OpenAI, streaming_worker: DirectWorker, simulate: Any, code: str
) -> None:
    response = raw(streaming_worker, simulate)
    assert response.status_code == 200
    assert in_stream_error(response)["code"] == code
    assert usage_line(streaming_worker, response)["outcome"] == code

    with pytest.raises(APIError) as raised:
        list(ask(client, simulate))
    assert raised.value.code == code

    # That SDK already raises at DashScope's own `event:error`, with Qwen's code.
    assert node_stream(streaming_worker, simulate)["error"]["code"] in (code, "Throttling.RateQuota")


def test_an_error_of_openais_form_is_told_once(streaming_worker: DirectWorker) -> None:
    response = raw(streaming_worker, {"error_data_after": 3})

    in_stream_error(response)
    assert response.text.count('"error"') == 1


def test_a_chunk_cut_in_the_middle_raises_too(client: OpenAI, streaming_worker: DirectWorker) -> None:
    whole = 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    simulate = {"raw": [whole, whole[:60]], "abort_after": 2}

    text, error = collected(ask(client, simulate))

    assert (text, error.code) == ("Hel", "stream_failed")
    assert node_stream(streaming_worker, simulate)["error"]["code"] == "stream_failed"


@pytest.mark.parametrize(("newline", "end"), [("lf", "\n\n"), ("crlf", "\r\n\r\n")])
def test_a_missing_done_is_added(
    client: OpenAI, streaming_worker: DirectWorker, newline: str, end: str
) -> None:
    simulate = {"text": ["Hello"], "no_done": True, "newline": newline}

    assert raw(streaming_worker, simulate).text.endswith("}" + end + "data: [DONE]\n\n")
    assert text_of(list(ask(client, simulate))) == "Hello"


def test_usage_comes_exactly_when_asked_for(client: OpenAI) -> None:
    without = list(ask(client, {"text": ["Hello"]}))
    asked = list(ask(client, {"text": ["Hello"]}, stream_options={"include_usage": True}))

    assert all(chunk.choices for chunk in without)
    assert asked[-1].choices == []
    assert asked[-1].usage is not None


# --- disconnects


@pytest.mark.parametrize(
    ("simulate", "patience_seconds"),
    [
        ({"chunks": 600, "chunk_delay_ms": 50}, 1.0),
        ({"chunks": 600, "chunk_delay_ms": 50}, 4.0),
        ({"chunks": 600, "chunk_delay_ms": 50, "id_lines": True}, 1.0),
        ({"delay_before_headers_ms": 30_000}, 0.2),
        ({"delay_before_headers_ms": 30_000}, 1.0),
    ],
    ids=["early", "late", "repaired", "before headers", "kept alive"],
)
def test_a_client_that_leaves_closes_the_connection_to_qwen(
    simulator: QwenSimulator,
    streaming_worker: DirectWorker,
    simulate: dict[str, Any],
    patience_seconds: float,
) -> None:
    key = f"leaves {json.dumps(simulate)} {patience_seconds}"
    leave_after(streaming_worker, {**simulate, "key": key}, patience_seconds)
    left_at = time.monotonic()

    request = simulator.recorder.wait_for(key, disconnected, timeout_seconds=10)

    assert request.disconnected_at is not None
    assert request.disconnected_at - left_at < 2.0
    assert [event for event in streaming_worker.log.events() if event["level"] == "error"] == []


def leave_after(worker: DirectWorker, simulate: Any, seconds: float) -> None:
    """Asks for a stream and hangs up, whatever has come by then."""
    deadline = time.monotonic() + seconds
    try:
        with httpx.stream(
            "POST",
            f"{worker.openai_base_url}/chat/completions",
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
            json=request_of(simulate),
            timeout=seconds,
        ) as response:
            for _ in response.iter_raw():
                if time.monotonic() > deadline:
                    return
    except httpx.TimeoutException:
        return
    raise AssertionError("the stream ended before the client left")


# --- framing and repairs


ODD_FRAMINGS: list[dict[str, Any]] = [
    {"newline": "crlf"},
    {"newline": "cr"},
    {"no_space": True},
    {"bom": True},
    {"multi_line": True},
    {"id_lines": True, "event_lines": True},
    {"comment_every": 2},
    {"split_bytes": 7},
    {"split_bytes": 1000},
]


@pytest.mark.parametrize("framing", ODD_FRAMINGS, ids=str)
def test_every_framing_is_readable(
    client: OpenAI, streaming_worker: DirectWorker, framing: dict[str, Any]
) -> None:
    deltas = ["Hello", " ", "wörld", " 🙂", "\n", "ha", "ha", "ha"]
    simulate = {"text": deltas, **framing}

    chunks = list(ask(client, simulate))

    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content] == deltas
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert node_text(node_stream(streaming_worker, simulate)) == "".join(deltas)


def test_id_and_event_lines_are_taken_out(streaming_worker: DirectWorker) -> None:
    text = relayed(raw(streaming_worker, {"text": ["Hello"], "id_lines": True, "event_lines": True}))

    assert all(line == "" or line.startswith("data: ") for line in text.split("\n"))


# --- load


def test_a_burst_goes_through_whole(streaming_worker: DirectWorker) -> None:
    response = raw(streaming_worker, {"burst": 20_000})

    assert response.text.count("word") == 20_000
    assert response.text.endswith("data: [DONE]\n\n")
    line = usage_line(streaming_worker, response)
    assert (line["outcome"], line["bytes"]) == ("completed", len(relayed(response).encode()))


async def test_many_streams_at_once(streaming_worker: DirectWorker) -> None:
    async with AsyncOpenAI(
        base_url=streaming_worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0
    ) as client:

        async def one(number: int) -> str:
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=MESSAGES,
                stream=True,
                extra_body={"simulate": {"text": [f"{number}:"] + ["word "] * 20, "chunk_delay_ms": 20}},
            )
            return text_of([chunk async for chunk in stream])

        texts = await asyncio.gather(*(one(number) for number in range(50)))

    assert texts == [f"{number}:" + "word " * 20 for number in range(50)]


# --- the log


def test_one_line_tells_what_became_of_a_stream(streaming_worker: DirectWorker) -> None:
    response = raw(
        streaming_worker,
        {"text": ["a secret"], "chunk_delay_ms": 100},
        stream_options={"include_usage": True},
    )
    request_id = response.headers["x-request-id"]

    line = usage_line(streaming_worker, response)

    assert streaming_worker.events("stream ended", request_id=request_id) == [line]
    assert line["usage"]["completion_tokens"] > 0
    assert line["finish_reason"] == "stop"
    assert line["bytes"] == len(relayed(response).encode())
    assert 0 <= line["time_to_first_byte_ms"] < line["duration_ms"]
    assert line["outcome"] == "completed"
    assert "a secret" not in streaming_worker.log.text()


def node_stream(worker: DirectWorker, simulate: Any) -> Any:
    """What the Node.js SDK makes of a stream."""
    parameters = {"baseURL": worker.openai_base_url, "apiKey": CLIENT_KEY, "request": request_of(simulate)}
    return run_node("chat.mjs", parameters)


def node_text(reported: Any) -> str:
    assert "chunks" in reported, reported
    return text_of([ChatCompletionChunk.model_validate(chunk) for chunk in reported["chunks"]])
