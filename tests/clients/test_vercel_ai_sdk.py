"""The Vercel AI SDK (`ai`, `@ai-sdk/openai-compatible`, `@ai-sdk/openai`): what its users do with it."""

import json
from typing import Any

import pytest

from tests.clients.node_clients import run_client
from tests.clients.questions import ATTEMPTS, CITIES, DELTAS, MODEL, PARALLEL_CALLS, TEXT, simulate
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.harness.runtime import Worker

PERSON = {"name": "Ada", "age": 36, "languages": ["English", "Français"]}
PERSON_TEXT = json.dumps(PERSON, ensure_ascii=False)


@pytest.fixture(params=["compatible", "openai"])
def provider(request: pytest.FixtureRequest) -> str:
    """Through chat completions, or the Responses API."""
    return str(request.param)


def test_generates_text(worker: Worker, provider: str) -> None:
    reported = run_vercel(
        "generateText", worker, simulate(reasoning=["Let me think."], text=DELTAS), provider=provider
    )

    assert reported["text"] == TEXT
    assert reported["reasoningText"] == "Let me think."
    assert reported["finishReason"] == "stop"
    assert reported["usage"]["outputTokens"] == len(DELTAS)


def test_streams_text(worker: Worker, provider: str) -> None:
    fault = simulate(reasoning=["Let me", " think."], text=DELTAS)
    reported = run_vercel("streamText", worker, fault, provider=provider)

    assert "".join(reported["deltas"]) == TEXT
    assert reported["reasoningText"] == "Let me think."
    assert reported["finishReason"] == "stop"
    assert reported["usage"]["outputTokens"] > 0


@pytest.mark.parametrize("operation", ["generateTools", "streamTools"])
def test_runs_tools(worker: Worker, operation: str, provider: str) -> None:
    answer = {"text": ["Mild", " everywhere."]}
    reported = run_vercel(
        operation,
        worker,
        simulate(f"vercel-{operation}-{provider}", sequence=[{"tool_calls": PARALLEL_CALLS}], then=answer),
        provider=provider,
    )

    assert sorted(call["city"] for call in reported["asked"]) == sorted(CITIES)
    assert reported["text"] == "Mild everywhere."
    assert reported["steps"] == 2


@pytest.mark.parametrize("operation", ["generateObject", "streamObject", "output"])
def test_generates_objects(worker: Worker, simulator: QwenSimulator, operation: str, provider: str) -> None:
    pieces = [PERSON_TEXT[start : start + 7] for start in range(0, len(PERSON_TEXT), 7)]
    key = f"vercel-{operation}-{provider}"
    reported = run_vercel(operation, worker, simulate(key, text=pieces), provider=provider)

    assert reported["object"] == PERSON
    (received,) = simulator.find(key)
    assert isinstance(received.body, dict)
    assert '"json_schema"' in json.dumps(received.body["response_format"])


@pytest.mark.parametrize("store", [None, False])
@pytest.mark.parametrize("operation", ["generateTurns", "streamTurns"])
def test_the_second_turn_has_the_words_of_the_first(
    worker: Worker, simulator: QwenSimulator, operation: str, store: bool | None
) -> None:
    """By default the provider for OpenAI refers to them by their ids."""
    key = f"vercel-{operation}-{store}"
    fault = simulate(key, reasoning=["Let me think."], text=DELTAS)
    options: dict[str, Any] = {} if store is None else {"store": store}
    reported = run_vercel(operation, worker, fault, provider="openai", **options)

    assert reported["texts"] == [TEXT, TEXT]
    _, second = simulator.find(key)
    messages: Any = dict(second.body)["messages"] if isinstance(second.body, dict) else []
    [said] = [message for message in messages if message["role"] == "assistant"]
    # Without storage the SDK leaves reasoning out that is not encrypted.
    assert said.get("reasoning_content") == ("Let me think." if store is None else None)
    assert TEXT in json.dumps(said["content"], ensure_ascii=False)


@pytest.mark.parametrize("operation", ["generateTools", "streamTools"])
def test_what_was_said_before_a_call_stays_with_it(
    worker: Worker, simulator: QwenSimulator, operation: str
) -> None:
    """The provider for OpenAI refers to the words, and sends the call itself."""
    key = f"vercel-references-{operation}"
    call = {"reasoning": ["Hm."], "text": ["Let me look."], "tool_calls": PARALLEL_CALLS[:1]}
    fault = simulate(key, sequence=[call], then={"text": DELTAS})
    reported = run_vercel(operation, worker, fault, provider="openai")

    assert reported["text"] == TEXT
    _, second = simulator.find(key)
    messages: Any = dict(second.body)["messages"] if isinstance(second.body, dict) else []
    assert [message["role"] for message in messages[1:]] == ["user", "assistant", "tool"]
    said = messages[2]
    assert (said["content"], said["reasoning_content"]) == ("Let me look.", "Hm.")
    assert len(said["tool_calls"]) == 1


def test_aborting_stops_qwen(worker: Worker, simulator: QwenSimulator) -> None:
    reported = run_vercel("abort", worker, simulate("vercel-aborts", endless=True, chunk_delay_ms=20))

    assert reported["count"] >= 5
    received = simulator.recorder.wait_for("vercel-aborts", disconnected)
    assert received.outcome == "client_disconnected"


def test_wrong_key(worker: Worker, provider: str) -> None:
    error = run_vercel("generateText", worker, {}, api_key="another-key", provider=provider)["error"]

    assert (error["statusCode"], error["isRetryable"]) == (401, False)
    assert "Incorrect API key" in error["message"]


def test_error_message_of_qwen(worker: Worker, provider: str) -> None:
    error = run_vercel("streamText", worker, simulate(name="context_length"), provider=provider)["error"]

    assert error["statusCode"] == 400
    assert "maximum context length" in error["message"]


def test_sdk_tries_again(worker: Worker, simulator: QwenSimulator) -> None:
    reported = run_vercel(
        "generateText",
        worker,
        simulate("vercel-retry", name="rate_limit_retry_after", fail_first=ATTEMPTS, then={"text": DELTAS}),
    )

    assert reported["text"] == TEXT
    assert len(simulator.find("vercel-retry")) == ATTEMPTS + 1


@pytest.mark.parametrize("fault", ["death_mid_stream", "end_without_finish"])
def test_error_in_the_middle_of_a_stream(worker: Worker, fault: str, provider: str) -> None:
    assert run_vercel("streamText", worker, simulate(name=fault), provider=provider)["error"]["message"]


def run_vercel(operation: str, worker: Worker, extra_body: dict[str, Any], **parameters: Any) -> Any:
    """Runs an operation with a prompt; `extra_body` is added to each request's body."""
    return run_client(
        "vercel.mjs", operation, worker, model=MODEL, prompt="Say hello.", extraBody=extra_body, **parameters
    )
