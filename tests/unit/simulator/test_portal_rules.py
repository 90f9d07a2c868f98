from __future__ import annotations

from typing import Any

import pytest

from tests.simulator import QwenSimulator, SimulatorConfig
from tests.unit.simulator.http_client import QUESTION, chat

HEADERS = {
    "User-Agent": "QwenCode/1.0.0 (linux; x64)",
    "X-DashScope-UserAgent": "QwenCode/1.0.0 (linux; x64)",
    "X-DashScope-CacheControl": "enable",
    "X-DashScope-AuthType": "qwen-oauth",
}
SYSTEM = {"role": "system", "content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]}
STRICT_TOOL = {
    "type": "function",
    "function": {"name": "f", "strict": True, "parameters": {"type": "object"}},
}
CLOSED_SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": False}}}
NESTED_TOOL = {"type": "function", "function": {"name": "f", "parameters": CLOSED_SCHEMA}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def calling(call: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    "messages",
    [
        [QUESTION],
        [{"role": "system", "content": "text only"}, QUESTION],
        [{"role": "system", "content": [{"type": "text", "text": "no cache_control"}]}, QUESTION],
        [SYSTEM, QUESTION, SYSTEM],
        [QUESTION, SYSTEM],
    ],
)
async def test_the_portal_wants_one_leading_cached_system_message(
    simulator: QwenSimulator, messages: list[dict[str, Any]]
) -> None:
    token = simulator.create_login().access_token
    refused = await chat(simulator, token=token, headers=HEADERS, messages=messages)
    error = refused.json()["error"]
    assert (refused.status, error["code"], error["message"]) == (
        400,
        "invalid_parameter_error",
        "bad request",
    )
    accepted = await chat(simulator, token=token, headers=HEADERS, messages=[SYSTEM, QUESTION])
    assert accepted.status == 200
    with_key = await chat(simulator, messages=messages)
    assert with_key.status == 200


@pytest.mark.parametrize("tool", [STRICT_TOOL, NESTED_TOOL])
async def test_the_portal_refuses_strict_schemas(simulator: QwenSimulator, tool: dict[str, Any]) -> None:
    token = simulator.create_login().access_token
    refused = await chat(simulator, token=token, headers=HEADERS, messages=[SYSTEM, QUESTION], tools=[tool])
    assert refused.status == 400
    assert (await chat(simulator, tools=[tool])).status == 200


@pytest.mark.parametrize("missing", list(HEADERS))
async def test_the_portal_throttles_callers_without_its_headers(
    simulator: QwenSimulator, missing: str
) -> None:
    token = simulator.create_login().access_token
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    answer = await chat(simulator, token=token, headers=headers, messages=[SYSTEM, QUESTION])
    assert (answer.status, answer.json()["error"]["code"]) == (429, "Throttling")


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": []},
        {"model": None},
        {"messages": []},
        {"messages": [{"role": "developer", "content": "x"}]},
        {"stream_options": {"include_usage": True}},
        {"enable_thinking": True, "tool_choice": "required"},
        {"enable_thinking": True, "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"reasoning_effort": "low", "thinking_budget": 100},
        {"max_tokens": 65_537},
        {"messages": [QUESTION, calling(CALL)]},
        {"messages": [QUESTION, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        {"messages": [QUESTION, calling({**CALL, "function": {"name": "f", "arguments": "{"}}), QUESTION]},
    ],
    ids=lambda fields: "+".join(fields),
)
async def test_every_host_refuses(simulator: QwenSimulator, fields: dict[str, Any]) -> None:
    answer = await chat(simulator, **fields)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_parameter_error")


async def test_an_alias_means_nothing_to_an_api_key(simulator: QwenSimulator) -> None:
    assert (await chat(simulator, model="coder-model")).status == 404
    token = simulator.create_login().access_token
    answer = await chat(
        simulator, token=token, headers=HEADERS, messages=[SYSTEM, QUESTION], model="coder-model"
    )
    assert answer.status == 200


async def test_credentials_are_checked_unless_any_are_accepted(simulator: QwenSimulator) -> None:
    unknown = await chat(simulator, token="access-token-1")
    assert (unknown.status, unknown.json()["error"]["message"]) == (
        401,
        "invalid access token or token expired",
    )
    wrong_key = await chat(simulator, token="sk-wrong")
    assert wrong_key.status == 401
    assert wrong_key.json()["error"]["message"].startswith("Incorrect API key provided")
    async with QwenSimulator(SimulatorConfig(accept_any_credentials=True)) as open_simulator:
        assert (await chat(open_simulator, token="whatever")).status == 200
