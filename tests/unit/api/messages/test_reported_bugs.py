"""What users of other gateways have reported (apis-on-the-wire 5), each named after what they saw."""

import json

import pytest

from qwen_worker.api.messages.thinking import ModelFacts
from tests.unit.api.messages.bodies import TOOL, USER, to_chat, to_native
from tests.unit.api.messages.streams import call, calls, chunk, encoded, translated, translator, usage_chunk

FINISH = chunk(finish="tool_calls")


def test_1_tools_run_with_empty_input_in_a_loop() -> None:
    """litellm issues 25321, 25561, 29491: the arguments came in the chunk that opens the call."""
    read = translated(calls(call(0, '{"path": "a"}', call_id="c", name="read")), FINISH)
    assert read.calls() == [("c", "read", {"path": "a"})]


def test_2_content_block_is_not_a_thinking_block() -> None:
    """litellm issues 32357, 33224: thinking was sent within a text block, or the message started twice."""
    message = translated(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm", "content": ""}),
        chunk({"role": "assistant", "content": "a"}),
        chunk({"reasoning_content": "Hm again", "content": "b"}),
        chunk(finish="stop"),
    ).message
    assert message is not None
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["thinking", "text", "thinking", "text"]


def test_3_content_block_not_found() -> None:
    """litellm issue 13373, with qwen3-coder: ids are "" in later chunks, and a text follows the call."""
    read = translated(
        chunk({"content": "I look."}),
        calls(call(0, call_id="c", name="read")),
        calls(call(0, '{"path": ', call_id="")),
        chunk({"content": ""}),
        calls(call(0, '"a"}', call_id="")),
        chunk({"content": "\n"}),
        FINISH,
    )
    assert read.text() == "I look."
    assert read.calls() == [("c", "read", {"path": "a"})]


def test_4_no_text_at_all() -> None:
    """litellm issue 29286: an empty `tool_calls` was taken for a call."""
    first, second = chunk({"content": "Hel", "tool_calls": []}), chunk({"content": "lo", "tool_calls": None})
    read = translated(first, second, chunk(finish="stop"))
    assert read.text() == "Hello"


def test_5_the_agent_stops_after_a_tool_call() -> None:
    """litellm issue 34692: end_turn beside a call, after an empty text block."""
    message = translated(
        chunk({"role": "assistant", "content": ""}),
        calls(call(0, "{}", call_id="c", name="read")),
        chunk(finish="stop"),
    ).message
    assert message is not None
    assert message["stop_reason"] == "tool_use"
    assert [block["type"] for block in message["content"]] == ["tool_use"]


def test_6_the_second_tool_gets_no_input_and_the_first_gets_both() -> None:
    """litellm issue 15307, dify-official-plugins issue 2667."""
    read = translated(
        calls(call(0, '{"a": 1}', call_id="c1", name="f")),
        calls(call(1, '{"b": 2}', call_id="c2", name="f")),
        FINISH,
    )
    assert read.raw_inputs == ['{"a": 1}', '{"b": 2}']


def test_7_the_context_display_stays_at_0() -> None:
    """CLIProxyAPI issue 1700, claude-code-router issue 807: no usage at the start, and none at the end."""
    stream = translator(input_tokens=1234)
    start = stream.feed(encoded([chunk({"content": "a"})], done=False))
    assert json.loads(start.split(b"data: ")[1].split(b"\n")[0])["message"]["usage"]["input_tokens"] == 1234

    message = translated(chunk({"content": "a"}), chunk(finish="stop"), usage_chunk()).message
    assert message is not None
    assert message["usage"]["input_tokens"] + message["usage"]["cache_read_input_tokens"] == 100


@pytest.mark.parametrize("done", [True, False])
def test_13_a_broken_stream_runs_a_tool_with_half_its_input(done: bool) -> None:
    """CLIProxyAPI issue 4873: a cut stream was ended as if it were whole, with empty arguments."""
    read = translated(calls(call(0, '{"path": "a', call_id="c", name="delete")), done=done)
    assert read.error is not None
    assert read.message is not None
    assert read.message["stop_reason"] is None


@pytest.mark.parametrize("thinking", [{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 0}])
def test_16_only_enabled_and_disabled_are_supported_for_thinking(thinking: dict[str, object]) -> None:
    """claude-code issue 29531, routatic pull request 171; issue 21595: clear_thinking without thinking."""
    management = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    for facts in (ModelFacts("never"), ModelFacts("hybrid"), ModelFacts("always"), ModelFacts()):
        body = to_native(facts, thinking=thinking, context_management=management)
        assert "context_management" not in body
        assert body.get("thinking", {"type": "disabled"})["type"] != "adaptive"
        assert body.get("thinking", {}).get("budget_tokens") != 0
        assert to_chat(facts, thinking=thinking).get("thinking_budget") != 0


def test_17_unexpected_role_system() -> None:
    """claude-code issues 63469, 63473, 77698; XiaomiMiMo issue 54."""
    messages = [USER, {"role": "system", "content": "be kind"}]
    for body in (to_native(messages=messages), to_chat(messages=messages)):
        assert [message["role"] for message in body["messages"]] == ["user", "user"]
        assert "be kind" in body["messages"][1]["content"]


def test_10_one_unknown_tool_fails_the_whole_request() -> None:
    """CommandCode issue 885."""
    tools = [{"type": "computer_20251124", "name": "computer"}, TOOL, {"type": "new_20270101", "name": "n"}]
    assert [tool["name"] for tool in to_native(tools=tools)["tools"]] == ["f"]
    assert [tool["function"]["name"] for tool in to_chat(tools=tools)["tools"]] == ["f"]


def test_19_broken_characters() -> None:
    """claude-code-router: a character was cut at the border of two pieces."""
    text = "Grüße, 你好 😀"
    whole = encoded([chunk({"content": text, "tool_calls": []}), chunk(finish="stop")])
    for cut in range(len(whole)):
        stream = translator()
        out = stream.feed(whole[:cut]) + stream.feed(whole[cut:]) + stream.end(None)
        assert json.dumps(text)[1:-1].encode() in out
