"""What crosses the wire: real requests of the OpenAI SDK, and the bytes and headers that Qwen receives."""

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.recording import ReceivedRequest
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartWorker
from tests.worker.harness.runtime import Worker

MODEL = "qwen3-coder-plus"
MARK = {"cache_control": {"type": "ephemeral"}}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    """What a model is asked to answer with."""

    name: str
    population: int


def received(simulator: QwenSimulator, key: str) -> ReceivedRequest:
    """The one request with this key that reached Qwen, and was accepted."""
    (request,) = simulator.find(key)
    assert request.status == 200
    return request


def body_of(request: ReceivedRequest) -> dict[str, Any]:
    assert isinstance(request.body, dict)
    return dict(request.body)


def conversation_of(request: ReceivedRequest) -> list[Any]:
    """The messages after the system message that the portal demands."""
    messages: list[Any]
    system, *messages = body_of(request)["messages"]
    assert system["role"] == "system"
    assert system["content"][-1] == {"type": "text", "text": system["content"][-1]["text"], **MARK}
    return messages


def post(worker: Worker, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        content=body,
        headers={"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json", **headers},
        timeout=30,
    )


def test_a_conversation_with_tools(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "What is the weather in Paris and in 北京?"},
    ]
    calls = [{"name": "get_weather", "arguments": json.dumps({"city": city})} for city in ("Paris", "北京")]

    asked = openai_client.chat.completions.create(
        model=MODEL,
        messages=messages,
        tools=[WEATHER],
        tool_choice="auto",
        parallel_tool_calls=True,
        extra_body={"simulate": {"key": "tools-1", "tool_calls": calls}},
    )
    answer = asked.choices[0].message
    assert answer.tool_calls is not None
    messages.append(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": arguments},
                }
                for call, arguments in zip(
                    answer.tool_calls, [call["arguments"] for call in calls], strict=True
                )
            ],
        }
    )
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": f"{degrees} °C"}
        for call, degrees in zip(answer.tool_calls, (18, 31), strict=True)
    ]
    summary = openai_client.chat.completions.create(
        model=MODEL,
        messages=messages,
        tools=[WEATHER],
        extra_body={"simulate": {"key": "tools-2", "text": ["Warm."]}},
    )
    assert summary.choices[0].message.content == "Warm."
    second_turn = list(messages)
    messages += [{"role": "assistant", "content": "Warm."}, {"role": "user", "content": "Thanks!"}]
    stream = openai_client.chat.completions.create(
        model=MODEL,
        messages=messages,
        tools=[WEATHER],
        stream=True,
        extra_body={"simulate": {"key": "tools-3", "text": ["You are", " welcome."]}},
    )
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        == "You are welcome."
    )

    first = body_of(received(simulator, "tools-1"))
    assert (first["tools"], first["tool_choice"], first["parallel_tool_calls"]) == ([WEATHER], "auto", True)
    assert conversation_of(received(simulator, "tools-2")) == second_turn[1:]
    third = received(simulator, "tools-3")
    marked = {"role": "user", "content": [{"type": "text", "text": "Thanks!", **MARK}]}
    assert conversation_of(third) == [*messages[1:-1], marked]
    assert body_of(third)["tools"] == [{**WEATHER, **MARK}]


def test_an_image(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    message: ChatCompletionMessageParam = {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
            },
        ],
    }

    openai_client.chat.completions.create(
        model="vision-model", messages=[message], extra_body={"simulate": {"key": "image"}}
    )

    request = received(simulator, "image")
    assert conversation_of(request) == [message]
    assert body_of(request)["model"] == "vision-model"


def test_an_answer_in_a_schema(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    answer = City(name="Lyon", population=520_774)

    parsed = openai_client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "A city as JSON"}],
        response_format=City,
        extra_body={"simulate": {"key": "schema", "text": [answer.model_dump_json()]}},
    )

    assert parsed.choices[0].message.parsed == answer
    response_format = body_of(received(simulator, "schema"))["response_format"]
    assert response_format["type"] == "json_schema"
    assert response_format["json_schema"]["strict"] is True
    assert response_format["json_schema"]["schema"]["additionalProperties"] is False


def test_every_parameter_of_the_sdk_arrives(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    parameters: dict[str, Any] = {
        "temperature": 0,
        "top_p": 0.5,
        "seed": 2**60 + 1,
        "stop": ["\n\n", "。"],
        "n": 2,
        "presence_penalty": -2,
        "frequency_penalty": 0.0,
        "logprobs": True,
        "top_logprobs": 3,
        "logit_bias": {"50256": -100},
        "user": "user-1",
        "metadata": {"a": "b"},
        "store": False,
        "service_tier": "auto",
        "verbosity": "low",
        "prompt_cache_key": "k",
    }
    beyond = {
        "enable_thinking": False,
        "top_k": 5,
        "repetition_penalty": 1.05,
        "vl_high_resolution_images": True,
    }

    openai_client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Say hello."}],
        **parameters,
        extra_body={**beyond, "simulate": {"key": "parameters"}},
    )

    body = body_of(received(simulator, "parameters"))
    assert {name: body[name] for name in parameters | beyond} == parameters | beyond


def test_what_no_rule_touches_arrives_as_it_was_spelled(worker: Worker, simulator: QwenSimulator) -> None:
    untouched = (
        b'"seed" : 123456789012345678901234567890',
        b'"x":[1.0, -0.0, 1E2, 1e400, "\\ud800\\/\\u0041"]',
        b'{"role":"user","content":"\\ud83d\\ude42 \xf0\x9f\x99\x82","name":"a\\u0062"}',
    )
    body = (
        b'{"model":"qwen3-coder-plus",'
        + untouched[0]
        + b","
        + untouched[1]
        + b',"simulate":{"key":"spelling"},'
        b'"messages":[' + untouched[2] + b',{"role":"user","content":"bye"}]}'
    )

    assert post(worker, body).status_code == 200

    raw = received(simulator, "spelling").raw_body
    for span in untouched:
        assert span in raw


def test_a_body_that_needs_no_change_arrives_byte_for_byte(
    start_worker: StartWorker, simulator: QwenSimulator
) -> None:
    worker = start_worker(
        {"QWEN_API_KEY": DEFAULT_API_KEY, "OPENAI_BASE_URL": simulator.api_url}, credentials=False
    )
    body = (
        ' {"simulate":{"key":"bytes"},\n "messages" : [ {"role":"user","content":"\\ud800 é 🙂 \\u0041"} ],\t'
        '"seed":12345678901234567890, "temperature":0.10, "model":"qwen3-max","tool_choice":"required",'
        '"tools":[{"type":"function","function":{"name":"f","strict":true}}],"user":null}\n'
    ).encode()

    assert post(worker, body).status_code == 200

    assert received(simulator, "bytes").raw_body == body


def compressed(body: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.compress(body)
    return zlib.compress(body) if coding == "deflate" else body


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_a_compressed_body_arrives_as_it_was(worker: Worker, simulator: QwenSimulator, coding: str) -> None:
    message = {"role": "user", "content": "h\u00e9llo " * 10_000}
    body = {"model": MODEL, "messages": [message], "simulate": {"key": f"coding-{coding}"}}

    answer = post(worker, compressed(json.dumps(body).encode(), coding), **{"content-encoding": coding})

    assert answer.status_code == 200, answer.text
    request = received(simulator, f"coding-{coding}")
    assert conversation_of(request) == [message]
    assert "content-encoding" not in {name.lower() for name in request.headers}


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate"])
def test_a_body_that_cannot_be_decoded_is_a_415_that_names_the_encoding(worker: Worker, coding: str) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}).encode()

    answer = post(worker, body, **{"content-encoding": coding})

    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_content_encoding"
    assert f"'{coding}'" in answer.json()["error"]["message"]
    assert "gzip, deflate" in answer.headers["accept-encoding"]


def test_a_body_is_as_large_as_it_is_when_decompressed(worker: Worker) -> None:
    bomb = gzip.compress(b" " * 100_000_000)

    answer = post(worker, bomb, **{"content-encoding": "gzip"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert post(worker, b"{}").status_code == 400, "the Worker lives"


@pytest.mark.parametrize("stream", [False, True])
def test_only_our_own_headers_cross(worker: Worker, simulator: QwenSimulator, stream: bool) -> None:
    key = f"headers-{stream}"
    private = {
        "cookie": "session=private",
        "x-forwarded-for": "192.0.2.1",
        "cf-connecting-ip": "192.0.2.1",
        "x-api-key": CLIENT_KEY,
        "openai-organization": "org-private",
        "x-stainless-lang": "python",
        "referer": "https://private.example/",
        "x-dashscope-authtype": "openai",
    }
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "x"}],
        "stream": stream,
        "simulate": {"key": key},
    }

    answer = post(worker, json.dumps(body).encode(), **private, **{"x-request-id": f"id-{key}"})

    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == f"id-{key}"
    headers = {name.lower(): value for name, value in received(simulator, key).headers.items()}
    token = received(simulator, key).bearer
    sent = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "accept": "application/json",
        "x-request-id": f"id-{key}",
        "x-dashscope-cachecontrol": "enable",
        "x-dashscope-authtype": "qwen-oauth",
        "x-dashscope-useragent": headers["user-agent"],
    }
    assert sent.items() <= headers.items()
    assert headers["user-agent"].startswith("QwenCode/")
    assert token != CLIENT_KEY
    transport = {"host", "content-length", "accept-encoding", "connection", "user-agent"}
    assert set(headers) - set(sent) <= transport
    for value in headers.values():
        assert "private" not in value
        assert "192.0.2.1" not in value
        assert CLIENT_KEY not in value
