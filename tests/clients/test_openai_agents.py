"""OpenAI's Agents SDK for Python, which speaks the Responses API by default."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.clients.questions import DELTAS, MODEL, TEXT, simulate
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

agents = pytest.importorskip("agents")
openai = pytest.importorskip("openai")


class Person(BaseModel):
    """What an agent is to answer with."""

    name: str
    age: int


@pytest.fixture
async def model(worker: Worker) -> AsyncIterator[Any]:
    """The SDK's own model, pointed at the Worker."""
    agents.set_tracing_disabled(True)  # or it sends traces to OpenAI
    async with openai.AsyncOpenAI(
        base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0
    ) as client:
        yield agents.OpenAIResponsesModel(model=MODEL, openai_client=client)


def agent(model: Any, extra_body: dict[str, Any], **fields: Any) -> Any:
    settings = agents.ModelSettings(extra_body=extra_body)
    return agents.Agent(name="Greeter", instructions="Greet.", model=model, model_settings=settings, **fields)


def calls(*names: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": '{"city": "東京"}'} for name in names]}


async def test_answers(model: Any) -> None:
    result = await agents.Runner.run(agent(model, simulate(text=DELTAS)), "Hi")

    assert result.final_output == TEXT
    assert result.context_wrapper.usage.output_tokens > 0


async def test_streams(model: Any) -> None:
    result = agents.Runner.run_streamed(agent(model, simulate(reasoning=["Hm."], text=DELTAS)), "Hi")
    deltas = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]

    assert "".join(deltas) == result.final_output == TEXT


@pytest.mark.parametrize("is_stream", [False, True])
async def test_runs_tools(model: Any, simulator: QwenSimulator, is_stream: bool) -> None:
    asked: list[str] = []

    @agents.function_tool  # type: ignore[untyped-decorator]
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "mild"

    key = f"agents-tools-{is_stream}"
    fault = simulate(key, sequence=[calls("get_weather", "get_weather")], then={"text": DELTAS})
    greeter = agent(model, fault, tools=[get_weather])
    if is_stream:
        result = agents.Runner.run_streamed(greeter, "Weather?")
        async for _ in result.stream_events():
            pass
    else:
        result = await agents.Runner.run(greeter, "Weather?")

    assert result.final_output == TEXT
    assert asked == ["東京", "東京"]
    _, second = simulator.find(key)
    messages: Any = dict(second.body)["messages"] if isinstance(second.body, dict) else []
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool"]


async def test_hands_over(model: Any) -> None:
    expert = agent(model, simulate(text=DELTAS))
    fault = simulate("agents-handoff", tool_calls=[{"name": "transfer_to_greeter", "arguments": "{}"}])
    result = await agents.Runner.run(agent(model, fault, handoffs=[expert]), "Hi")

    assert result.final_output == TEXT
    assert result.last_agent is expert


async def test_structured_output(model: Any, simulator: QwenSimulator) -> None:
    fault = simulate("agents-structured", text=['{"name": "Ada", ', '"age": 36}'])
    result = await agents.Runner.run(agent(model, fault, output_type=Person), "Who?")

    assert result.final_output == Person(name="Ada", age=36)
    [request] = simulator.find("agents-structured")
    assert '"json_schema"' in json.dumps(request.body)


async def test_a_second_turn(model: Any, simulator: QwenSimulator) -> None:
    greeter = agent(model, simulate("agents-turns", reasoning=["Hm."], text=DELTAS))
    first = await agents.Runner.run(greeter, "Hi")
    turns = [*first.to_input_list(), {"role": "user", "content": "Go on."}]
    second = await agents.Runner.run(greeter, turns)

    assert second.final_output == TEXT
    _, request = simulator.find("agents-turns")
    assert TEXT in json.dumps(request.body, ensure_ascii=False)


async def test_a_used_up_quota(model: Any) -> None:
    with pytest.raises(openai.RateLimitError):
        await agents.Runner.run(agent(model, simulate(name="insufficient_quota_daily")), "Hi")


async def test_a_stream_that_breaks_is_an_error(model: Any) -> None:
    result = agents.Runner.run_streamed(agent(model, simulate(name="death_mid_stream")), "Hi")
    with pytest.raises(Exception, match="The connection to Qwen broke"):
        async for _ in result.stream_events():
            pass
