"""Streams of the Responses API through the real workerd, against a misbehaving Qwen."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.support.responses_grammar import read_stream
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import embedded_only

MODEL = "qwen3-coder-plus"
DELTAS = ["Hello", ",", " 你好", " 🙂"]
KEEP_ALIVE_SECONDS = 0.4

pytestmark = embedded_only()


@pytest.fixture(scope="module")
def impatient_worker(simulator: QwenSimulator) -> Iterator[DirectWorker]:
    """A Worker with little patience."""
    worker = DirectWorker(
        {
            **oauth_variables(simulator),
            "STREAM_KEEP_ALIVE_SECONDS": str(KEEP_ALIVE_SECONDS),
            "STREAM_IDLE_TIMEOUT_SECONDS": "2.5",
        }
    )
    yield worker
    worker.stop()


def request_of(key: str, **fault: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": "Hi", "stream": True, "simulate": {"key": key, **fault}}


def stream(worker: DirectWorker, key: str, **fault: Any) -> httpx.Response:
    return httpx.post(
        f"{worker.openai_base_url}/responses",
        json=request_of(key, **fault),
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        timeout=30,
    )


def test_text_arrives_when_qwen_sends_it(impatient_worker: DirectWorker) -> None:
    arrivals: dict[str, float] = {}
    with httpx.stream(
        "POST",
        f"{impatient_worker.openai_base_url}/responses",
        json=request_of("responses-paced", text=["a", "b", "c"], chunk_delay_ms=400),
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: ") and (event := json.loads(line[6:])).get("delta"):
                arrivals[event["delta"]] = time.monotonic()

    assert arrivals["b"] - arrivals["a"] > 0.25
    assert arrivals["c"] - arrivals["b"] > 0.25


def test_a_silent_qwen_is_bridged_with_events(impatient_worker: DirectWorker) -> None:
    silent_ms = 1000 * KEEP_ALIVE_SECONDS * 3.5
    answer = stream(impatient_worker, "responses-silent", delay_before_headers_ms=silent_ms, text=DELTAS)

    found = read_stream(answer.content)
    assert found.text == "".join(DELTAS)
    assert found.types.count("response.created") == 1
    assert found.types.count("response.in_progress") >= 3


def test_an_error_after_keep_alives_fails_the_response(impatient_worker: DirectWorker) -> None:
    answer = stream(
        impatient_worker,
        "responses-late-error",
        name="insufficient_quota_daily",
        delay_before_headers_ms=1000 * (KEEP_ALIVE_SECONDS + 0.4),
    )

    assert answer.status_code == 200
    response = read_stream(answer.content).response
    assert response["error"]["code"] == "insufficient_quota"


def test_a_qwen_that_stays_silent_fails_the_response(impatient_worker: DirectWorker) -> None:
    answer = stream(impatient_worker, "responses-never", stall_after=0)

    assert read_stream(answer.content).response["error"]["code"] == "server_error"


@pytest.mark.parametrize(
    "fault",
    [
        {"abort_after": 4},
        {"abort_after": 4, "reset": True},
        {"end_after": 4},
        {"stall_after": 4},
        {"error_data_after": 4},
        {"error_event_after": 4},
        {"error_finish_after": 4},
    ],
    ids=lambda fault: "-".join(fault),
)
def test_a_stream_that_breaks_is_never_completed(
    impatient_worker: DirectWorker, fault: dict[str, Any]
) -> None:
    answer = stream(impatient_worker, f"responses-broken-{'-'.join(fault)}", **fault)

    found = read_stream(answer.content)
    assert found.types[-1] == "response.failed"
    assert found.text.startswith("Hello")
    line = impatient_worker.log.wait_for("stream ended", request_id=answer.headers["x-request-id"])
    assert line["outcome"] in (
        "stream_truncated",
        "stream_failed",
        "upstream_timeout",
        "upstream_unavailable",
    )


def test_arguments_that_were_cut_off_are_never_closed(impatient_worker: DirectWorker) -> None:
    arguments = json.dumps({"command": "rm -r build && make everything again"})
    call = {"name": "shell", "arguments": arguments}
    answer = stream(impatient_worker, "responses-cut-call", tool_calls=[call], end_after=3)

    found = read_stream(answer.content)
    assert found.types[-1] == "response.failed"
    assert "response.output_item.done" not in found.types
    assert found.response["output"][0]["status"] == "incomplete"


def test_a_client_that_hangs_up_ends_qwens_stream(
    impatient_worker: DirectWorker, simulator: QwenSimulator
) -> None:
    with httpx.stream(
        "POST",
        f"{impatient_worker.openai_base_url}/responses",
        json=request_of("responses-hangs-up", endless=True, chunk_delay_ms=20),
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
    ) as response:
        next(response.iter_bytes())

    assert simulator.recorder.wait_for("responses-hangs-up", disconnected).disconnected


def test_an_account_that_fails_gives_way(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> None:
    login = simulator.create_login()
    key = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url, "label": "key", "priority": 30}
    worker = start_direct_worker(
        {"QWEN_CLI_AUTH": json.dumps(login.credentials()), "QWEN_API_KEY": json.dumps(key)}
    )
    answer = stream(
        worker, "responses-failover", name="error_event_first", error="month_quota", only_for=[login.name]
    )

    assert answer.headers["x-qwen-account"] == "key"
    assert read_stream(answer.content).response["status"] == "completed"
    asked = [request.credential for request in simulator.find("responses-failover")]
    assert asked == [login.name, DEFAULT_API_KEY]
