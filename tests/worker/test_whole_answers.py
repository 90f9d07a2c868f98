"""Answers that are not streams, through the real workerd: the bytes, the faults, the time-out, the log."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import embedded_only

TIMEOUT_SECONDS = 2.0
COMPLETION = (
    '{"id":"c1","object":"chat.completion","x":1.50,"x":1e400,"choices":[{"index":0,"message":'
    '{"role":"assistant","content":"ä 🙂"},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
)

pytestmark = embedded_only()


@pytest.fixture(scope="module")
def worker(simulator: QwenSimulator) -> Iterator[DirectWorker]:
    """A Worker with little patience."""
    running = DirectWorker(
        {
            **oauth_variables(simulator),
            "LOG_LEVEL": "info",
            "UPSTREAM_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            "STREAM_IDLE_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            "STREAM_KEEP_ALIVE_SECONDS": "0",
        }
    )
    yield running
    running.stop()


def ask(worker: DirectWorker, simulate: Any, *, stream: bool = False) -> httpx.Response:
    return httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={"messages": [{"role": "user", "content": "hi"}], "simulate": simulate, "stream": stream},
        timeout=30,
    )


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def answered(body: Any, content_type: str = "application/json", **fields: Any) -> dict[str, Any]:
    return {"status": 200, "body": body, "content_type": content_type, **fields}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/html"])
def test_a_good_answer_goes_on_as_the_very_bytes_that_came(worker: DirectWorker, content_type: str) -> None:
    response = ask(worker, answered(COMPLETION, content_type, headers={"x-request-id": "qwen-77"}))

    assert response.status_code == 200
    assert response.content == COMPLETION.encode()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-upstream-request-id"] == "qwen-77"
    line = worker.log.wait_for("completion ended", request_id=response.headers["x-request-id"])
    assert line["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert (line["finish_reason"], line["outcome"], line["model"]) == (
        "stop",
        "completed",
        "qwen3-coder-plus",
    )
    assert line["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("simulate", "expected"),
    [
        ("not_json_200", (502, "upstream_unavailable")),
        ("empty_200", (502, "upstream_error")),
        ("html_200", (502, "upstream_blocked")),
        (answered(COMPLETION[:-9]), (502, "upstream_unavailable")),
        ({"abort_after": 60}, (502, "upstream_unavailable")),
        ({"abort_after": 60, "reset": True}, (502, "upstream_unavailable")),
        (answered({"choices": None}), (502, "upstream_blocked")),
        (answered({"code": "Throttling", "message": "Slow down."}), (429, "rate_limit_exceeded")),
        (answered({"error": {"code": "model_not_found", "message": "No."}}), (404, "model_not_found")),
        (
            answered(
                {
                    "choices": [
                        {"finish_reason": "error_finish", "message": {"content": '{"code":"Throttling"}'}}
                    ]
                }
            ),
            (429, "rate_limit_exceeded"),
        ),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_what_is_no_answer_has_its_own_status(
    worker: DirectWorker, simulate: Any, expected: tuple[int, str]
) -> None:
    assert code_of(ask(worker, simulate)) == expected


def test_an_answer_of_more_than_ten_megabytes_goes_through(start_direct_worker: StartDirectWorker) -> None:
    worker = start_direct_worker()
    long = COMPLETION.replace("ä", "ä" * 6_000_000)

    response = ask(worker, answered(long))

    assert response.content == long.encode()
    worker.log.wait_for("completion ended", request_id=response.headers["x-request-id"], outcome="completed")


@pytest.mark.parametrize("gzip", ["if_accepted", "always", "broken"])
@pytest.mark.parametrize("stream", [False, True])
def test_compression_harms_nobody(
    worker: DirectWorker, simulator: QwenSimulator, gzip: str, stream: bool
) -> None:
    """A body that is not what its `content-encoding` says once ended the whole workerd."""
    key = f"gzip {gzip} {stream}"
    response = ask(worker, {"text": ["Hello", " world"], "gzip": gzip, "key": key}, stream=stream)

    assert response.status_code == 200
    assert "Hello" in response.text
    if stream:
        assert response.text.endswith("data: [DONE]\n\n")
    assert simulator.find(key)[0].headers["accept-encoding"] == "identity"
    assert ask(worker, answered(COMPLETION)).status_code == 200


SILENCES: dict[str, dict[str, Any]] = {
    "before the headers": {"delay_before_headers_ms": 60_000},
    "after the headers": {"stall_after": 0},
    "in the middle": {"stall_after": 40},
    "in an error's body": {"name": "internal_error", "stall_after": 10},
    "in a web page": {"name": "html_403", "stall_after": 10},
    "in a body without a length": {"text": ["x" * 500], "split_bytes": 10, "write_delay_ms": 400},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("silence", SILENCES)
def test_no_silence_outlasts_the_time_out(
    worker: DirectWorker, simulator: QwenSimulator, silence: str, stream: bool
) -> None:
    key = f"silence {silence} {stream}"
    simulate: dict[str, Any] = {**SILENCES[silence], "key": key}
    if stream and silence in ("after the headers", "in the middle"):
        simulate["json_instead_of_sse"] = True
    if stream and silence == "in a body without a length":
        simulate = {"delay_before_first_chunk_ms": 60_000, "key": key}
    began = time.monotonic()

    response = ask(worker, simulate, stream=stream)

    assert code_of(response) == (504, "upstream_timeout")
    assert TIMEOUT_SECONDS - 0.1 < time.monotonic() - began < TIMEOUT_SECONDS + 3
    simulator.recorder.wait_for(key, disconnected, timeout_seconds=5)
    assert len(simulator.find(key)) == 1


def test_a_long_answer_that_stops_is_given_up_too(worker: DirectWorker, simulator: QwenSimulator) -> None:
    """What is passed on natively is bounded as well, and never looks complete."""
    long = COMPLETION.replace("ä", "a" * 11_000_000)
    began = time.monotonic()

    response = ask(worker, answered(long, stall_after=10_500_000, key="long stall"))

    assert time.monotonic() - began < TIMEOUT_SECONDS + 5
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(response.text)
    line = worker.log.wait_for("completion ended", request_id=response.headers["x-request-id"])
    assert line["outcome"] == "stream_failed"
    simulator.recorder.wait_for("long stall", disconnected, timeout_seconds=5)
