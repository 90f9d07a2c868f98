"""openai-node: what its users do with the Responses API."""

import json
from typing import Any

import pytest

from tests.clients.node_clients import run_client
from tests.clients.questions import CITIES, DELTAS, MODEL, PARALLEL_CALLS, TEXT, WEATHER_FUNCTION, simulate
from tests.support.responses_schema import check_event
from tests.worker.harness.runtime import Worker

PERSON = {"name": "Ada", "age": 36, "languages": ["English", "Français"]}
WEATHER = {"type": "function", **WEATHER_FUNCTION}


def test_responds(worker: Worker) -> None:
    reported = run_openai("respond", worker, **simulate(text=DELTAS))

    assert (reported["output_text"], reported["status"]) == (TEXT, "completed")
    assert reported["usage"]["output_tokens"] > 0


def test_streams(worker: Worker) -> None:
    events = run_openai("respondStream", worker, **simulate(text=DELTAS))["events"]

    for event in events:
        check_event(event)
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == TEXT
    assert events[-1]["type"] == "response.completed"


def test_stream_helper(worker: Worker) -> None:
    reported = run_openai("respondStreamHelper", worker, **simulate(text=DELTAS))

    assert "".join(reported["deltas"]) == reported["output_text"] == TEXT


@pytest.mark.parametrize("operation", ["respond", "respondStreamHelper"])
def test_parallel_calls(worker: Worker, operation: str) -> None:
    reported = run_openai(operation, worker, tools=[WEATHER], **simulate(tool_calls=PARALLEL_CALLS))

    assert [json.loads(item["arguments"])["city"] for item in reported["output"]] == CITIES


def test_parses_structured_output(worker: Worker) -> None:
    answer = json.dumps(PERSON, ensure_ascii=False)

    assert run_openai("respondParse", worker, **simulate(text=[answer])) == {"parsed": PERSON}


def test_exhausted_quota(worker: Worker) -> None:
    error = run_openai("respond", worker, **simulate(name="insufficient_quota_daily"))["error"]

    assert (error["class"], error["code"]) == ("RateLimitError", "insufficient_quota")


@pytest.mark.parametrize("fault", ["death_mid_stream", "end_without_finish"])
def test_a_stream_that_breaks(worker: Worker, fault: str) -> None:
    last = run_openai("respondStream", worker, **simulate(name=fault))["events"][-1]

    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"]


def run_openai(operation: str, worker: Worker, **request: Any) -> Any:
    """Runs an operation with a question and these fields as the request."""
    return run_client("openai.mjs", operation, worker, request={"model": MODEL, "input": "Hi", **request})
