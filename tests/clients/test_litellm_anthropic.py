"""LiteLLM: completions through its `anthropic/` provider with an `api_base`."""

import json
import os
from typing import Any

import pytest

from tests.clients.questions import CITIES, DELTAS, PARALLEL_CALLS, QUESTION, TEXT, WEATHER_TOOL
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.messages_gateway import MODEL, Gateway

# Otherwise the import downloads a list of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def complete(gateway: Gateway, fault: Any, **changes: Any) -> Any:
    """A completion, or the chunks of one put together."""
    answer = litellm.completion(
        model=f"anthropic/{MODEL}",
        api_base=gateway.worker.base_url,
        api_key=CLIENT_KEY,
        messages=QUESTION,
        max_tokens=1000,
        num_retries=0,
        extra_headers=gateway.plan(fault),
        **changes,
    )
    return litellm.stream_chunk_builder(list(answer)) if changes.get("stream") else answer


@pytest.mark.parametrize("stream", [False, True])
def test_completes(gateway: Gateway, stream: bool) -> None:
    fault = {"reasoning": ["Let me", " think."], "text": DELTAS}
    completion = complete(gateway, fault, stream=stream)

    message = completion.choices[0].message
    assert (message.content, message.reasoning_content) == (TEXT, "Let me think.")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.completion_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_calls_tools(gateway: Gateway, stream: bool) -> None:
    completion = complete(gateway, {"tool_calls": PARALLEL_CALLS}, stream=stream, tools=[WEATHER_TOOL])

    calls = completion.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == CITIES
    assert completion.choices[0].finish_reason == "tool_calls"


def test_too_long_a_context_is_recognised(gateway: Gateway) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        complete(gateway, "context_length")


def test_exhausted_quota_is_told_at_once(gateway: Gateway) -> None:
    with pytest.raises(litellm.RateLimitError):
        complete(gateway, "insufficient_quota_daily")

    assert len(gateway.received) == 1


@pytest.mark.parametrize("fault", [{"abort_after": 6}, {"end_after": 6}, {"error_event_after": 6}], ids=str)
def test_error_in_the_middle_of_a_stream(gateway: Gateway, fault: Any) -> None:
    with pytest.raises(litellm.exceptions.MidStreamFallbackError):
        complete(gateway, {**fault, "chunk_delay_ms": 5}, stream=True)
