"""openai-node: what its users do with it."""

import json
from typing import Any

import pytest

from tests.clients.node_clients import run_client
from tests.clients.questions import (
    ATTEMPTS,
    CITIES,
    DELTAS,
    MODEL,
    PARALLEL_CALLS,
    QUESTION,
    TEXT,
    WEATHER_TOOL,
    simulate,
    weather_arguments,
)
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.harness.runtime import Worker

PERSON = {"name": "Ada", "age": 36, "languages": ["English", "Français"]}


def test_lists_and_retrieves_models(worker: Worker) -> None:
    reported = run_openai("models", worker)

    assert MODEL in reported["models"]
    assert reported["retrieved"] == reported["models"][0]


def test_completes(worker: Worker) -> None:
    reported = run_openai("complete", worker, **simulate(text=DELTAS))

    assert reported["completion"]["choices"][0]["message"]["content"] == TEXT
    assert reported["requestID"] == reported["headers"]["x-request-id"]


def test_streams(worker: Worker) -> None:
    reported = run_openai("stream", worker, stream_options={"include_usage": True}, **simulate(text=DELTAS))

    chunks = reported["chunks"]
    assert "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"]) == TEXT
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_stream_helper(worker: Worker) -> None:
    reported = run_openai("streamHelper", worker, **simulate(text=DELTAS))

    assert [content for content in reported["contents"] if content] == DELTAS
    assert reported["completion"]["choices"][0]["message"]["content"] == TEXT


def test_stream_helper_assembles_parallel_tool_calls(worker: Worker) -> None:
    reported = run_openai("streamHelper", worker, tools=[WEATHER_TOOL], **simulate(tool_calls=PARALLEL_CALLS))

    calls = reported["completion"]["choices"][0]["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"])["city"] for call in calls] == CITIES
    assert reported["completion"]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("operation", ["parse", "parseStream"])
def test_parses_structured_output(worker: Worker, operation: str) -> None:
    answer = json.dumps(PERSON, ensure_ascii=False)

    assert run_openai(operation, worker, **simulate(text=[answer])) == {"parsed": PERSON}


@pytest.mark.parametrize("stream", [False, True])
def test_runs_tools(worker: Worker, stream: bool) -> None:
    call = {"name": "get_weather", "arguments": weather_arguments("Paris")}
    healthy = {"text": ["It is", " 21 degrees."]}
    reported = run_openai(
        "runTools",
        worker,
        stream=stream,
        **simulate(f"node-tools-{stream}", sequence=[{"tool_calls": [call]}], then=healthy),
    )

    assert reported["asked"] == [{"city": "Paris", "unit": "celsius"}]
    assert reported["content"] == "It is 21 degrees."


def test_hanging_up_stops_qwen(worker: Worker, simulator: QwenSimulator) -> None:
    reported = run_openai("hangUp", worker, **simulate("node-hangs-up", endless=True, chunk_delay_ms=20))

    assert reported == {"count": 5}
    received = simulator.recorder.wait_for("node-hangs-up", disconnected)
    assert received.outcome == "client_disconnected"


@pytest.mark.parametrize("key", ["another-key", "undefined", "not-provided"])
def test_wrong_keys(worker: Worker, key: str) -> None:
    error = run_client("openai.mjs", "models", worker, api_key=key)["error"]

    assert (error["class"], error["code"]) == ("AuthenticationError", "invalid_api_key")
    assert error["requestID"]


def test_invalid_parameter(worker: Worker) -> None:
    error = run_openai("complete", worker, temperature=3)["error"]

    assert (error["class"], error["param"]) == ("BadRequestError", "temperature")


def test_exhausted_quota_is_told_at_once(worker: Worker, simulator: QwenSimulator) -> None:
    error = run_openai("complete", worker, **simulate("node-quota", name="insufficient_quota_daily"))["error"]

    assert (error["class"], error["code"]) == ("RateLimitError", "insufficient_quota")
    assert len(simulator.find("node-quota")) == 1


@pytest.mark.parametrize("fault", ["rate_limit_retry_after", "service_unavailable"])
def test_sdk_tries_again(worker: Worker, simulator: QwenSimulator, fault: str) -> None:
    key = f"node-{fault}"
    reported = run_openai(
        "complete", worker, **simulate(key, name=fault, fail_first=ATTEMPTS, then={"text": DELTAS})
    )

    assert reported["completion"]["choices"][0]["message"]["content"] == TEXT
    assert len(simulator.find(key)) == ATTEMPTS + 1


@pytest.mark.parametrize("fault", ["death_mid_stream", "end_without_finish"])
def test_error_in_the_middle_of_a_stream(worker: Worker, fault: str) -> None:
    error = run_openai("stream", worker, **simulate(name=fault))["error"]

    assert error["class"] == "APIError"
    assert error["code"] in ("stream_failed", "stream_truncated")


def run_openai(operation: str, worker: Worker, **request: Any) -> Any:
    """Runs an operation with QUESTION and these fields as the request."""
    return run_client(
        "openai.mjs", operation, worker, request={"model": MODEL, "messages": QUESTION, **request}
    )
