"""Qwen's faults through the real runtime: which exception the OpenAI SDK raises, and with which fields."""

import json
import socket
import struct
from urllib.parse import urlsplit

import openai
import pytest
from openai import OpenAI

from tests.simulator.server import QwenSimulator
from tests.support.upstream_faults import EXPECTATIONS, Expectation
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker, StartWorker

EXCEPTIONS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
    504: openai.InternalServerError,
}
REPRESENTATIVE = (
    "arrearage",
    "insufficient_quota_daily",
    "insufficient_quota_daily_403",
    "insufficient_quota_minute",
    "rate_limit_retry_after",
    "throttling_rate_quota",
    "bad_request",
    "context_length",
    "data_inspection_failed",
    "model_not_found",
    "internal_error",
    "bad_gateway",
    "service_unavailable_retry_after",
    "html_504",
    "captcha_200",
    "html_403",
    "empty_200",
    "connection_reset",
)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize(
    "expected", [e for e in EXPECTATIONS if e.fault in REPRESENTATIVE], ids=lambda e: e.fault
)
def test_the_sdk_raises_what_the_fault_means(
    openai_client: OpenAI, simulator: QwenSimulator, expected: Expectation, stream: bool
) -> None:
    key = f"{expected.fault}-{stream}"
    with pytest.raises(EXCEPTIONS[expected.status]) as raised:
        openai_client.chat.completions.create(
            model="qwen3-coder-plus",
            messages=[{"role": "user", "content": "Say hello."}],
            stream=stream,
            extra_body={"simulate": {"name": expected.fault, "key": key}},
        )
    error = raised.value
    assert error.status_code == expected.status
    assert (error.type, error.code) == (expected.type, expected.code)
    assert error.request_id == error.response.headers["x-request-id"]
    retry_after = None if expected.retry_after is None else str(expected.retry_after)
    assert error.response.headers.get("retry-after") == retry_after
    assert (error.response.headers.get("x-should-retry") == "false") == expected.is_final
    assert error.response.headers["access-control-allow-origin"] == "*"
    assert len(simulator.find(key)) == expected.attempts


def test_context_overflow_is_told_in_the_words_that_tools_look_for(openai_client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        openai_client.chat.completions.create(
            model="qwen3-coder-plus",
            messages=[{"role": "user", "content": "Say hello."}],
            extra_body={"simulate": "context_length"},
        )
    assert "this model's maximum context length is 1000000 tokens" in raised.value.message
    assert "Range of input length should be [1, 1000000]" in raised.value.message


def test_the_sdks_own_retries_stop_at_an_exhausted_quota(
    openai_client: OpenAI, simulator: QwenSimulator
) -> None:
    client = openai_client.with_options(max_retries=3)
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(
            model="qwen3-coder-plus",
            messages=[{"role": "user", "content": "Say hello."}],
            extra_body={"simulate": {"name": "insufficient_quota_daily", "key": "quota-with-retries"}},
        )
    assert raised.value.code == "insufficient_quota"
    assert len(simulator.find("quota-with-retries")) == 1


def test_a_fault_that_passes_is_never_seen(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    completion = openai_client.chat.completions.create(
        model="qwen3-coder-plus",
        messages=[{"role": "user", "content": "Say hello."}],
        extra_body={
            "simulate": {"name": "service_unavailable", "fail_first": 2, "key": "fails-twice", "text": ["ok"]}
        },
    )
    assert completion.choices[0].message.content
    assert len(simulator.find("fails-twice")) == 3


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_qwen_that_never_answers_is_a_504_in_time(
    start_worker: StartWorker, simulator: QwenSimulator, stream: bool
) -> None:
    worker = start_worker({"UPSTREAM_TIMEOUT_SECONDS": "1"})
    key = f"never-{stream}"
    with (
        OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as raised,
    ):
        client.chat.completions.create(
            model="qwen3-coder-plus",
            messages=[{"role": "user", "content": "Say hello."}],
            stream=stream,
            extra_body={"simulate": {"name": "headers_never", "key": key}},
        )
    assert (raised.value.status_code, raised.value.code) == (504, "upstream_timeout")
    assert len(simulator.find(key)) == 1
    simulator.recorder.wait_for(key, lambda received: received.disconnected_at is not None)


def test_a_client_that_hangs_up_ends_the_upstream_call(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> None:
    worker = start_direct_worker()
    body = json.dumps(
        {
            "messages": [{"role": "user", "content": "Say hello."}],
            "simulate": {"name": "headers_never", "key": "hang-up"},
        }
    ).encode()
    address = urlsplit(worker.base_url)
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: worker\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
            % (CLIENT_KEY.encode(), len(body), body)
        )
        simulator.recorder.wait_for("hang-up")
        # A reset, since workerd's own HTTP server takes a FIN for a half-close until it has to write.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    simulator.recorder.wait_for("hang-up", lambda received: received.disconnected_at is not None)
