"""openai-python: what its users do with it."""

import asyncio
import json
from enum import Enum

import pytest
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

from tests.clients.questions import (
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
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker


class Unit(Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class GetWeather(BaseModel):
    """Tells the weather of a city."""

    city: str
    unit: Unit


class Person(BaseModel):
    name: str
    age: int
    languages: list[str]


PERSON = '{"name": "Ada", "age": 36, "languages": ["English", "Français"]}'


# --- models


def test_lists_models(client: OpenAI) -> None:
    models = client.models.list().data

    assert MODEL in [model.id for model in models]
    assert {model.object for model in models} == {"model"}


def test_retrieves_a_model(client: OpenAI) -> None:
    assert client.models.retrieve(MODEL).id == MODEL


@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_takes_a_base_url_that_ends_in_slashes(worker: Worker, ending: str) -> None:
    with OpenAI(base_url=worker.openai_base_url + ending, api_key=CLIENT_KEY) as client:
        assert MODEL in [model.id for model in client.models.list()]
        assert client.chat.completions.create(model=MODEL, messages=QUESTION).choices[0].message.content


def test_takes_a_base_url_without_v1(worker: Worker) -> None:
    with OpenAI(base_url=worker.base_url, api_key=CLIENT_KEY) as client:
        assert MODEL in [model.id for model in client.models.list()]
        assert client.chat.completions.create(model=MODEL, messages=QUESTION).choices[0].message.content


# --- completions


def test_completes(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model=MODEL, messages=QUESTION, extra_body=simulate(text=DELTAS)
    )

    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + len(DELTAS)
    assert completion._request_id


async def test_completes_asynchronously(async_client: AsyncOpenAI) -> None:
    completion = await async_client.chat.completions.create(
        model=MODEL, messages=QUESTION, extra_body=simulate(text=DELTAS)
    )

    assert completion.choices[0].message.content == TEXT


def test_hands_over_the_raw_response(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=QUESTION, extra_body=simulate(text=DELTAS)
    )

    assert raw.status_code == 200
    assert raw.request_id == raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().choices[0].message.content == TEXT


def test_hands_over_the_raw_response_of_a_stream(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=QUESTION, stream=True, extra_body=simulate(text=DELTAS)
    )

    assert raw.headers["content-type"].startswith("text/event-stream")
    assert _text(list(raw.parse())) == TEXT


def test_hands_over_a_response_line_by_line(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=QUESTION, stream=True, extra_body=simulate(text=DELTAS)
    ) as response:
        lines = [line for line in response.iter_lines() if line]

    assert response.headers["x-request-id"]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert _text([ChatCompletionChunk.model_validate(chunk) for chunk in chunks]) == TEXT


async def test_hands_over_a_response_line_by_line_asynchronously(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=QUESTION, stream=True, extra_body=simulate(text=DELTAS)
    ) as response:
        lines = [line async for line in response.iter_lines() if line]

    assert lines[-1] == "data: [DONE]"


def test_carries_parameters_images_and_nulls(client: OpenAI, simulator: QwenSimulator) -> None:
    pixel = "data:image/png;base64,iVBORw0KGgo="
    client.chat.completions.create(
        model="vision-model",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": pixel}},
                ],
            },
        ],
        temperature=0,
        seed=7,
        stop=None,
        max_completion_tokens=50,
        metadata={"purpose": "test"},
        extra_body=simulate("parameters", text=["A dot."]) | {"top_k": 3},
    )

    (received,) = simulator.find("parameters")
    assert isinstance(received.body, dict)
    sent = received.body
    assert sent["temperature"] == 0
    assert (sent["seed"], sent["top_k"], sent["metadata"]) == (7, 3, {"purpose": "test"})
    assert pixel in json.dumps(sent["messages"])


def test_passes_the_reasoning_on(client: OpenAI) -> None:
    thinking = simulate(reasoning=["Let me", " think"], text=["Yes."])
    completion = client.chat.completions.create(model=MODEL, messages=QUESTION, extra_body=thinking)
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, extra_body=thinking)
    )

    message = completion.choices[0].message
    assert message.model_extra
    assert message.model_extra["reasoning_content"] == "Let me think"
    streamed = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") for chunk in chunks]
    assert "".join(text for text in streamed if text) == "Let me think"
    assert _text(chunks) == "Yes."


# --- streams


@pytest.mark.parametrize("include_usage", [True, False])
def test_streams_with_and_without_usage(client: OpenAI, include_usage: bool) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": include_usage},
            extra_body=simulate(text=DELTAS),
        )
    )

    assert _text(chunks) == TEXT
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    if include_usage:
        assert chunks[-1].usage
        assert chunks[-1].usage.completion_tokens > 0
        assert chunks[-1].choices == []
    else:
        assert not usages
        assert all(chunk.choices for chunk in chunks)


async def test_streams_asynchronously(async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, extra_body=simulate(text=DELTAS)
    )

    assert _text([chunk async for chunk in stream]) == TEXT


async def test_streams_do_not_mix(async_client: AsyncOpenAI) -> None:
    async def ask(number: int) -> str:
        words = [f"{number}-{word} " for word in range(20)]
        stream = await async_client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            stream=True,
            extra_body=simulate(text=words, chunk_delay_ms=5),
        )
        return _text([chunk async for chunk in stream])

    answers = await asyncio.gather(*(ask(number) for number in range(12)))

    assert answers == ["".join(f"{number}-{word} " for word in range(20)) for number in range(12)]


def test_stream_helper_tells_events(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL,
        messages=QUESTION,
        stream_options={"include_usage": True},
        extra_body=simulate(text=DELTAS),
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()

    assert [event.delta for event in events if event.type == "content.delta" and event.delta] == DELTAS
    assert [event.content for event in events if event.type == "content.done"] == [TEXT]
    assert final.choices[0].message.content == TEXT
    assert final.usage


async def test_stream_helper_tells_events_asynchronously(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(
        model=MODEL, messages=QUESTION, extra_body=simulate(text=DELTAS)
    ) as stream:
        deltas = [event.delta async for event in stream if event.type == "content.delta" and event.delta]

    assert deltas == DELTAS


def test_hanging_up_stops_qwen(client: OpenAI, simulator: QwenSimulator) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        stream=True,
        extra_body=simulate("python-hangs-up", endless=True, chunk_delay_ms=20),
    )
    for _, _chunk in zip(range(5), stream, strict=False):
        pass
    stream.close()

    received = simulator.recorder.wait_for("python-hangs-up", disconnected)
    assert received.outcome == "client_disconnected"


async def test_cancelling_a_task_stops_qwen(async_client: AsyncOpenAI, simulator: QwenSimulator) -> None:
    started = asyncio.Event()

    async def read() -> None:
        stream = await async_client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            stream=True,
            extra_body=simulate("python-cancels", endless=True, chunk_delay_ms=20),
        )
        async for _ in stream:
            started.set()

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    received = await asyncio.to_thread(simulator.recorder.wait_for, "python-cancels", disconnected)
    assert received.outcome == "client_disconnected"


# --- structured output


def test_parses_structured_output(client: OpenAI, simulator: QwenSimulator) -> None:
    completion = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Who wrote the first program? Answer in JSON."}],
        response_format=Person,
        extra_body=simulate("python-parse", text=[PERSON]),
    )

    assert completion.choices[0].message.parsed == Person.model_validate_json(PERSON)
    (received,) = simulator.find("python-parse")
    assert isinstance(received.body, dict)
    assert '"json_schema"' in json.dumps(received.body["response_format"])


def test_parses_structured_output_of_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL,
        messages=QUESTION,
        response_format=Person,
        extra_body=simulate(text=[PERSON[start : start + 5] for start in range(0, len(PERSON), 5)]),
    ) as stream:
        final = stream.until_done().get_final_completion()

    assert final.choices[0].message.parsed == Person.model_validate_json(PERSON)


# --- tools


def test_calls_a_tool_and_answers_with_its_result(client: OpenAI) -> None:
    question = "Call get_weather for Paris."
    called = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        tools=[WEATHER_TOOL],
        extra_body=simulate(tool_calls=[{"name": "get_weather", "arguments": weather_arguments("Paris")}]),
    )
    message = called.choices[0].message
    assert called.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    (call,) = message.tool_calls
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert json.loads(call.function.arguments)["city"] == "Paris"

    answered = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "user", "content": question},
            message,  # type: ignore[list-item]  # the SDK's users send answers back as they are
            {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"},
        ],
        tools=[WEATHER_TOOL],
    )
    assert "21 degrees" in (answered.choices[0].message.content or "")


def test_parses_tool_calls(client: OpenAI) -> None:
    completion = client.chat.completions.parse(
        model=MODEL,
        messages=QUESTION,
        tools=[pydantic_function_tool(GetWeather)],
        extra_body=simulate(tool_calls=[{"name": "GetWeather", "arguments": weather_arguments("Paris")}]),
    )

    calls = completion.choices[0].message.tool_calls
    assert calls
    assert calls[0].function.parsed_arguments == GetWeather(city="Paris", unit=Unit.CELSIUS)


def test_streams_parallel_tool_calls(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            tools=[WEATHER_TOOL],
            parallel_tool_calls=True,
            stream=True,
            extra_body=simulate(tool_calls=PARALLEL_CALLS),
        )
    )

    arguments: dict[int, str] = {}
    ids: dict[int, str] = {}
    for chunk in chunks:
        for fragment in chunk.choices[0].delta.tool_calls or []:
            if fragment.id:
                ids[fragment.index] = fragment.id
            assert fragment.function
            arguments[fragment.index] = arguments.get(fragment.index, "") + (
                fragment.function.arguments or ""
            )
    assert [json.loads(arguments[index])["city"] for index in range(3)] == CITIES
    assert len(set(ids.values())) == 3
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_stream_helper_assembles_parallel_tool_calls(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL,
        messages=QUESTION,
        tools=[pydantic_function_tool(GetWeather)],
        extra_body=simulate(
            tool_calls=[{"name": "GetWeather", "arguments": weather_arguments(city)} for city in CITIES]
        ),
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()

    assert [(event.name, event.index) for event in done] == [("GetWeather", index) for index in range(3)]
    calls = final.choices[0].message.tool_calls
    assert calls
    assert [call.function.parsed_arguments for call in calls] == [
        GetWeather(city=city, unit=Unit.CELSIUS) for city in CITIES
    ]


def _text(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
