"""The simulator refuses what Qwen refuses: so the gateway's rules are needed, and seen to work."""

from typing import Any

import pytest

from tests.simulator import QwenSimulator
from tests.simulator.portal_rules import Violation, alias_violation, general_violation, portal_violation
from tests.unit.simulator.client import QUESTION, chat, chat_body

HEADERS = {
    "User-Agent": "QwenCode/1.0.0 (linux; x64)",
    "X-DashScope-UserAgent": "QwenCode/1.0.0 (linux; x64)",
    "X-DashScope-CacheControl": "enable",
    "X-DashScope-AuthType": "qwen-oauth",
}
SYSTEM = {"role": "system", "content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]}
HEALTHY = chat_body(messages=[SYSTEM, QUESTION])
CLOSED_SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": False}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def calling(arguments: str) -> dict[str, Any]:
    call = {**CALL, "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [QUESTION]},
        {"messages": [{"role": "system", "content": "text only"}, QUESTION]},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "not cached"}]}, QUESTION]},
        {"messages": [SYSTEM, QUESTION, SYSTEM]},
        {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": CLOSED_SCHEMA}}]},
    ],
    ids=str,
)
def test_only_the_portal_refuses(fields: dict[str, Any]) -> None:
    assert portal_violation(HEALTHY, HEADERS) is None
    assert portal_violation({**HEALTHY, **fields}, HEADERS) == Violation("bad_request", None)
    assert general_violation({**HEALTHY, **fields}) is None


@pytest.mark.parametrize("missing", list(HEADERS))
def test_the_portal_throttles_callers_without_its_headers(missing: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    assert portal_violation(HEALTHY, headers) == Violation("throttling", None)


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
        {"messages": [QUESTION, calling("{}")]},
        {"messages": [QUESTION, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        {"messages": [QUESTION, calling("{"), {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
    ],
    ids=str,
)
async def test_every_host_refuses(simulator: QwenSimulator, fields: dict[str, Any]) -> None:
    assert (await chat(simulator, **fields)).status == 400


def test_an_alias_means_nothing_to_an_api_key() -> None:
    violation = alias_violation(chat_body(model="coder-model"))
    assert violation is not None
    assert violation.fault == "model_not_found"


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("access-token-1", b"invalid access token or token expired"),
        ("sk-wrong", b"Incorrect API key provided"),
    ],
)
async def test_credentials_are_checked(simulator: QwenSimulator, token: str, message: bytes) -> None:
    answer = await chat(simulator, token=token)
    assert answer.status == 401
    assert message in answer.body
