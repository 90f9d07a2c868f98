"""LiteLLM: completions through its `openai/` provider with an `api_base`, as aider and many agents use it."""

import json
import os
from typing import Any

import pytest

from tests.clients.questions import (
    CITIES,
    DELTAS,
    MODEL,
    PARALLEL_CALLS,
    QUESTION,
    TEXT,
    WEATHER_TOOL,
    simulate,
)
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

# Otherwise the import downloads a list of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def options(worker: Worker, **changes: Any) -> dict[str, Any]:
    """What every call here has in common."""
    return {
        "model": f"openai/{MODEL}",
        "api_base": worker.openai_base_url,
        "api_key": CLIENT_KEY,
        "messages": QUESTION,
        **changes,
    }


def test_completes(worker: Worker) -> None:
    completion = litellm.completion(**options(worker, extra_body=simulate(text=DELTAS)))

    assert completion.choices[0].message.content == TEXT
    assert completion.usage.completion_tokens == len(DELTAS)


async def test_completes_asynchronously(worker: Worker) -> None:
    completion = await litellm.acompletion(**options(worker, extra_body=simulate(text=DELTAS)))

    assert completion.choices[0].message.content == TEXT


def test_streams(worker: Worker) -> None:
    chunks = list(
        litellm.completion(
            **options(
                worker,
                stream=True,
                stream_options={"include_usage": True},
                extra_body=simulate(reasoning=["Let me", " think."], text=DELTAS),
            )
        )
    )

    complete = litellm.stream_chunk_builder(chunks)
    assert complete.choices[0].message.content == TEXT
    assert complete.choices[0].message.reasoning_content == "Let me think."
    assert complete.choices[0].finish_reason == "stop"
    assert complete.usage.completion_tokens > 0


async def test_streams_asynchronously(worker: Worker) -> None:
    stream = await litellm.acompletion(**options(worker, stream=True, extra_body=simulate(text=DELTAS)))

    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == TEXT


@pytest.mark.parametrize("stream", [False, True])
def test_calls_tools(worker: Worker, stream: bool) -> None:
    answer = litellm.completion(
        **options(worker, tools=[WEATHER_TOOL], stream=stream, extra_body=simulate(tool_calls=PARALLEL_CALLS))
    )

    completion = litellm.stream_chunk_builder(list(answer)) if stream else answer
    calls = completion.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == CITIES
    assert {call.function.name for call in calls} == {"get_weather"}
    assert completion.choices[0].finish_reason == "tool_calls"


def test_wrong_key(worker: Worker) -> None:
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(**options(worker, api_key="another-key"))


def test_too_long_a_context_is_recognised(worker: Worker) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(**options(worker, extra_body=simulate(name="context_length")))


def test_exhausted_quota_is_told_at_once(worker: Worker, simulator: QwenSimulator) -> None:
    told = simulate("litellm-quota", name="insufficient_quota_daily")
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**options(worker, extra_body=told))

    assert len(simulator.find("litellm-quota")) == 1


@pytest.mark.parametrize("fault", ["death_mid_stream", "end_without_finish"])
def test_error_in_the_middle_of_a_stream(worker: Worker, fault: str) -> None:
    stream = litellm.completion(**options(worker, stream=True, extra_body=simulate(name=fault)))

    with pytest.raises(litellm.exceptions.MidStreamFallbackError, match="Qwen"):
        list(stream)


def test_hanging_up_stops_qwen(worker: Worker, simulator: QwenSimulator) -> None:
    told = simulate("litellm-hangs-up", endless=True, chunk_delay_ms=20)
    stream = litellm.completion(**options(worker, stream=True, extra_body=told))
    next(stream)
    stream.completion_stream.close()

    received = simulator.recorder.wait_for("litellm-hangs-up", disconnected)
    assert received.outcome == "client_disconnected"
