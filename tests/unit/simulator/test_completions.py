from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.simulator import DEFAULT_API_KEY, QwenSimulator
from tests.unit.simulator.http_client import chat, chat_with_body

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            },
        },
    }
    for name in ("get_weather", "get_time")
]
ASKS_FOR_BOTH = [{"role": "user", "content": "Call get_weather and get_time."}]


async def test_the_openai_sdk_streams_text_reasoning_and_usage(simulator: QwenSimulator) -> None:
    async with AsyncOpenAI(base_url=simulator.api_url, api_key=DEFAULT_API_KEY, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="qwen3-coder-plus",
            messages=[{"role": "user", "content": "Why is the sky blue?"}],
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"enable_thinking": True},
        )
        chunks = [chunk async for chunk in stream]
    *answer, tail = chunks
    assert answer[0].choices[0].delta.role == "assistant"
    assert "Why is the sky blue?" in "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    assert any(getattr(chunk.choices[0].delta, "reasoning_content", None) for chunk in answer)
    assert [chunk.choices[0].finish_reason for chunk in answer if chunk.choices[0].finish_reason] == ["stop"]
    assert tail.choices == []
    assert tail.usage is not None
    assert tail.usage.prompt_tokens == 5


async def test_usage_and_reasoning_come_only_when_asked_for(simulator: QwenSimulator) -> None:
    answer = await chat(simulator, stream=True)
    events = answer.events()
    assert events[-1] == "[DONE]"
    assert all("usage" not in event and len(event["choices"]) == 1 for event in events[:-1])
    assert b"reasoning_content" not in answer.body


async def test_tools_that_the_user_names_are_called_in_parallel(simulator: QwenSimulator) -> None:
    events = (await chat(simulator, stream=True, tools=TOOLS, messages=ASKS_FOR_BOTH)).events()[:-1]
    calls: dict[int, dict[str, Any]] = {}
    for event in events:
        for fragment in event["choices"][0]["delta"].get("tool_calls", ()):
            call = calls.setdefault(
                fragment["index"], {"name": fragment["function"].get("name"), "arguments": ""}
            )
            call["arguments"] += fragment["function"]["arguments"]
    assert [calls[index]["name"] for index in sorted(calls)] == ["get_weather", "get_time"]
    assert all(json.loads(call["arguments"]) == {"city": "text", "days": 1} for call in calls.values())
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({"messages": ASKS_FOR_BOTH}, ["get_weather", "get_time"]),
        ({"messages": ASKS_FOR_BOTH, "parallel_tool_calls": False}, ["get_weather"]),
        ({"messages": ASKS_FOR_BOTH, "tool_choice": "none"}, None),
        ({"tool_choice": "required"}, ["get_weather"]),
        ({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, ["get_time"]),
        ({}, None),
    ],
)
async def test_tool_choice_is_honoured(
    simulator: QwenSimulator, fields: dict[str, Any], called: list[str] | None
) -> None:
    choice = (await chat(simulator, tools=TOOLS, **fields)).json()["choices"][0]
    calls = choice["message"].get("tool_calls")
    assert (calls and [call["function"]["name"] for call in calls]) == called
    assert choice["finish_reason"] == ("tool_calls" if called else "stop")


async def test_a_tool_result_is_answered_with_text(simulator: QwenSimulator) -> None:
    first = (await chat(simulator, tools=TOOLS, tool_choice="required")).json()["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "12 degrees"}
    messages = [{"role": "user", "content": "Call it."}, first, result]
    choice = (await chat(simulator, tools=TOOLS, messages=messages)).json()["choices"][0]
    assert "12 degrees" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


async def test_a_json_schema_is_answered_with_an_instance(simulator: QwenSimulator) -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["big", "small"]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
            "note": {"type": ["string", "null"]},
        },
        "$defs": {"part": {"type": "object", "properties": {"weight": {"type": "number", "minimum": 3}}}},
    }
    answer = await chat(
        simulator, response_format={"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}
    )
    content = json.loads(answer.json()["choices"][0]["message"]["content"])
    assert content == {"kind": "big", "parts": [{"weight": 3}], "note": "text"}


async def test_max_tokens_cuts_the_answer(simulator: QwenSimulator) -> None:
    choice = (await chat(simulator, max_tokens=3)).json()["choices"][0]
    assert len(choice["message"]["content"].split()) == 3
    assert choice["finish_reason"] == "length"


async def test_an_image_is_noticed(simulator: QwenSimulator) -> None:
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    answer = await chat(simulator, messages=[{"role": "user", "content": parts}])
    assert "1 image" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        (b"[" * 100_000, 400),
        (b'{"model":"m","messages":[7]}', 400),
        (b'{"model":"m","messages":[{"role":["user"],"content":"x"}]}', 400),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"n":1000000000}', 400),
        (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', 200),
        (b'{"model":"\\ud800","messages":[{"role":"user","content":"x"}],"stream":true}', 200),
        (b'{"model":"m","messages":[{"role":"user"}],"tools":[7,{"function":{"name":7}}]}', 200),
    ],
)
async def test_no_body_upsets_the_simulator(simulator: QwenSimulator, body: bytes, status: int) -> None:
    assert (await chat_with_body(simulator, body)).status == status
    assert simulator.chats[-1].outcome == "completed"
