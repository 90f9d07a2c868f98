"""The Anthropic SDK for Node.js and the Vercel AI SDK's provider for Anthropic, whatever the host speaks."""

from typing import Any

import pytest

from tests.clients.node_clients import ANTHROPIC_PROJECT, run_client
from tests.worker.harness.messages_gateway import MODEL, REQUEST, Gateway

DELTAS = ["Hello", ", ", "你好", " 🙂"]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLS = [{"name": "get_weather", "arguments": f'{{"city": "{city}"}}'} for city in ("Paris", "東京")]
ROUND: dict[str, Any] = {"sequence": [{"tool_calls": CALLS}], "then": {"text": ["It is", " sunny."]}}


def sdk(gateway: Gateway, operation: str, simulation: Any = None, **changes: Any) -> Any:
    """What an operation of sdk.mjs reports."""
    _plan(gateway, simulation)
    return run_client(
        "sdk.mjs",
        operation,
        gateway.worker,
        project=ANTHROPIC_PROJECT,
        requestID=gateway.key,
        request={**REQUEST, **changes},
    )


def vercel(gateway: Gateway, operation: str, simulation: Any = None) -> Any:
    """What an operation of vercel.mjs reports."""
    _plan(gateway, simulation)
    return run_client(
        "vercel.mjs",
        operation,
        gateway.worker,
        provider="anthropic",
        headers={"x-request-id": gateway.key},
        model=MODEL,
        prompt="Say hello.",
        maxRetries=0,
    )


def _plan(gateway: Gateway, simulation: Any) -> None:
    gateway.plan()
    gateway.simulator.faults.plan(gateway.key, simulation or {"text": DELTAS})


def test_create(gateway: Gateway) -> None:
    reported = sdk(gateway, "create")

    assert reported["message"]["content"] == [{"type": "text", "text": "".join(DELTAS)}]
    assert reported["requestID"] == gateway.key


def test_stream(gateway: Gateway) -> None:
    reported = sdk(gateway, "stream", {"reasoning": ["Hm", "m."], "text": DELTAS})

    assert "".join(reported["texts"]) == "".join(DELTAS)
    assert [block["type"] for block in reported["message"]["content"]] == ["thinking", "text"]
    assert reported["message"]["stop_reason"] == "end_turn"


def test_beta(gateway: Gateway) -> None:
    assert sdk(gateway, "beta")["message"]["content"][0]["text"] == "".join(DELTAS)


def test_tools(gateway: Gateway) -> None:
    reported = sdk(gateway, "tools", ROUND, tools=[WEATHER])

    assert [block["input"] for block in reported["first"]["content"]] == [{"city": "Paris"}, {"city": "東京"}]
    assert reported["last"]["content"][0]["text"] == "It is sunny."


def test_count_tokens(gateway: Gateway) -> None:
    assert sdk(gateway, "countTokens")["input_tokens"] > 5


@pytest.mark.parametrize("fault", [{"abort_after": 6}, {"end_after": 6}, {"error_event_after": 6}], ids=str)
def test_broken_stream_is_an_error(gateway: Gateway, fault: dict[str, Any]) -> None:
    assert sdk(gateway, "stream", {**fault, "chunk_delay_ms": 5})["error"]["message"]
    assert vercel(gateway, "streamText", {**fault, "chunk_delay_ms": 5})["error"]["message"]


def test_errors(gateway: Gateway) -> None:
    error = sdk(gateway, "create", "insufficient_quota_daily")["error"]
    assert (error["name"], error["status"], error["type"]) == ("RateLimitError", 429, "rate_limit_error")

    error = vercel(gateway, "generateText", "context_length")["error"]
    assert error["statusCode"] == 400
    assert "prompt is too long" in error["message"]


def test_vercel_streams(gateway: Gateway) -> None:
    reported = vercel(gateway, "streamText", {"reasoning": ["Hm", "m."], "text": DELTAS})

    assert "".join(reported["deltas"]) == "".join(DELTAS)
    assert (reported["reasoningText"], reported["finishReason"]) == ("Hmm.", "stop")
    assert reported["usage"]["inputTokens"] > 0


def test_vercel_completes(gateway: Gateway) -> None:
    reported = vercel(gateway, "generateText")

    assert (reported["text"], reported["finishReason"]) == ("".join(DELTAS), "stop")


def test_vercel_calls_tools(gateway: Gateway) -> None:
    reported = vercel(gateway, "streamTools", ROUND)

    assert reported["asked"] == [{"city": "Paris"}, {"city": "東京"}]
    assert (reported["text"], reported["steps"]) == ("It is sunny.", 2)


def test_vercel_makes_objects(gateway: Gateway) -> None:
    made = vercel(gateway, "generateObject", {})["object"]

    assert made == {"name": "text", "age": 1, "languages": ["text"]}
