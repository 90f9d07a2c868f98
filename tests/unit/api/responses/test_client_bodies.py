"""Requests exactly as the real clients send them, where the folder with them is at hand."""

import json
from pathlib import Path

import pytest

from qwen_worker.api.responses.request import Translated, to_chat
from qwen_worker.errors import InvalidRequest
from tests.support.recorded import RECORDED

BODIES = sorted(
    file
    for pattern in ("codex-*", "ai-sdk-*", "openai-agents-*")
    for file in RECORDED.glob(f"{pattern}.json")
)

pytestmark = pytest.mark.skipif(not BODIES, reason="there are no recorded requests")


def translated(name: str) -> Translated:
    return to_chat(json.loads((RECORDED / f"{name}.json").read_text("utf-8")))


@pytest.mark.parametrize(
    "file", [file for file in BODIES if "item-reference" not in file.name], ids=lambda f: f.stem
)
def test_every_body_becomes_a_chat(file: Path) -> None:
    sent = json.loads(file.read_text("utf-8"))
    chat = to_chat(sent).chat

    assert {"role", "content"} <= set(chat["messages"][-1])
    assert chat["model"] == sent["model"]
    assert not chat.keys() & {"include", "store", "client_metadata", "prompt_cache_key", "input", "text"}
    assert all(len(tool["function"]["name"]) <= 64 for tool in chat.get("tools", []))


def test_codex_first_turn() -> None:
    found = translated("codex-0.171-first-turn")

    assert [message["role"] for message in found.chat["messages"]] == [
        "developer",
        "developer",
        "user",
        "user",
    ]
    names = [tool["function"]["name"] for tool in found.chat["tools"]]
    assert len(names) == 12
    assert "multi_agent_v1__close_agent" in names
    assert found.ignored == ("web_search",)
    assert found.prompt_cache_key is not None
    assert not found.asked.carries_texts


@pytest.mark.parametrize(
    "name", ["tool-result", "namespace-call", "reasoning-replay", "image-result", "custom-tool-result"]
)
def test_calls_of_codex_are_answered(name: str) -> None:
    messages = translated(f"codex-0.171-{name}").chat["messages"]
    [place] = [number for number, message in enumerate(messages) if "tool_calls" in message]
    [call] = messages[place]["tool_calls"]

    assert messages[place + 1]["tool_call_id"] == call["id"]


def test_codex_sees_an_image() -> None:
    last = translated("codex-0.171-image-result").chat["messages"][-1]

    assert last["role"] == "user"
    assert last["content"][-1]["image_url"]["url"].startswith("data:image/png")


def test_codex_replays_its_reasoning() -> None:
    messages = translated("codex-0.171-reasoning-replay").chat["messages"]

    assert [message["reasoning_content"] for message in messages if "reasoning_content" in message]


def test_codex_compacts_without_tools() -> None:
    assert "tools" not in translated("codex-0.171-compaction").chat


def test_the_ai_sdk_is_told_to_say_store_false() -> None:
    with pytest.raises(InvalidRequest, match="store: false") as caught:
        translated("ai-sdk-item-reference")

    assert caught.value.param == "input[1].id"


def test_the_ai_sdk_asks_for_a_schema() -> None:
    form = translated("ai-sdk-structured-output").chat["response_format"]

    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["name"] == "response"
