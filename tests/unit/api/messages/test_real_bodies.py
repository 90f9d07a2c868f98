"""The bodies that Claude Code sends, as they were recorded: apis-on-the-wire 2.1.

Where there are none (tests/support/recorded.py), these tests are skipped.
"""

import json
from typing import Any

import pytest

from qwen_worker.api.chat.request import parse_chat_request
from qwen_worker.api.messages.bridge import chat_body
from qwen_worker.api.messages.count_tokens import early_input_tokens, estimate_input_tokens
from qwen_worker.api.messages.native import native_body
from qwen_worker.api.messages.request import parse_messages_request
from qwen_worker.api.messages.thinking import ModelFacts
from qwen_worker.tokens import TOOLS_TOKENS
from tests.support.recorded import RECORDED
from tests.unit.api.messages.vocabulary import token_count

FACTS = ModelFacts("hybrid", 65_536, 81_920)

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="there are no recorded requests")


@pytest.fixture(
    params=["2.1.197-claude-model", "2.1.197-web-search", "2.1.332-first-turn", "2.1.332-tool-result"]
)
def raw(request: pytest.FixtureRequest) -> bytes:
    return (RECORDED / f"claude-code-{request.param}.json").read_bytes()


def texts_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts_of(item)]


def test_native(raw: bytes) -> None:
    before = json.loads(raw)
    after = json.loads(native_body(parse_messages_request(raw), model="qwen3.7-plus", facts=FACTS))
    assert after["model"] == "qwen3.7-plus"
    assert "context_management" not in after
    assert "billing-header" not in json.dumps(after["system"])
    assert after.get("thinking", {}).get("type") in (None, "enabled")
    assert all(message["role"] != "system" for message in after["messages"])
    assert len(after["messages"]) == len(before["messages"])
    assert all("defer_loading" not in tool and "type" not in tool for tool in after.get("tools", ()))
    assert after["metadata"] == before["metadata"]


def test_native_is_sent_as_it_was_spelled(raw: bytes) -> None:
    request = parse_messages_request(raw)
    after = native_body(request, model="qwen3.7-plus", facts=FACTS)
    for name in ("metadata", "stream"):
        member = request.members[name]
        assert raw[member.start : member.end] in after


def test_bridged(raw: bytes) -> None:
    request = parse_messages_request(raw)
    before = request.body()
    chat = chat_body(before, model="qwen", facts=FACTS, cache_marks=True, knows_qwen_fields=True)
    said = json.dumps(chat, ensure_ascii=False)
    checked = parse_chat_request(said.encode())
    assert checked.stream
    assert checked.include_usage
    assert "billing-header" not in said
    for message in before["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else [message["content"]]:
            text = block if isinstance(block, str) else block.get("text") or block.get("thinking") or ""
            assert json.dumps(text, ensure_ascii=False)[1:-1] in said
    client_tools = [tool for tool in before["tools"] if "type" not in tool]
    assert [tool["function"]["name"] for tool in chat.get("tools", ())] == [t["name"] for t in client_tools]


def test_parallel_results_follow_their_turn() -> None:
    raw = (RECORDED / "claude-code-2.1.332-tool-result.json").read_bytes()
    body = parse_messages_request(raw).body()
    messages = chat_body(body, model="q", facts=FACTS, cache_marks=False, knows_qwen_fields=True)["messages"]
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert [call["id"] for call in messages[3]["tool_calls"]] == ["toolu_mock1", "toolu_mock2"]
    assert [message["tool_call_id"] for message in messages[4:]] == ["toolu_mock1", "toolu_mock2"]
    assert messages[3]["reasoning_content"] == "let me think"


def test_estimate(raw: bytes) -> None:
    body = parse_messages_request(raw).body()
    tools = [tool for tool in body["tools"] if "type" not in tool]
    system = [block["text"] for block in body["system"][1:]]
    counted = token_count("\n".join([*system, *texts_of([m["content"] for m in body["messages"]])]))
    counted += token_count(json.dumps(tools)) + (TOOLS_TOKENS if tools else 0)
    assert estimate_input_tokens(body) == pytest.approx(counted, rel=0.15, abs=20)


def test_count_tokens() -> None:
    raw = (RECORDED / "claude-code-2.1.197-count-tokens.json").read_bytes()
    body = parse_messages_request(raw, is_count=True).body()
    assert estimate_input_tokens(body) == pytest.approx(token_count(body["messages"][0]["content"]), rel=0.15)


def test_early_estimate(raw: bytes) -> None:
    request = parse_messages_request(raw)
    early = early_input_tokens(request.body(), request.text_of("tools"))
    assert early == pytest.approx(estimate_input_tokens(request.body()), rel=0.15, abs=50)
