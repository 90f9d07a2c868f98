"""What is made fit for a host that speaks Messages, and that nothing else is touched."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.messages.native import native_body
from qwen_worker.api.messages.request import parse_messages_request
from qwen_worker.api.messages.thinking import ModelFacts
from qwen_worker.errors import InvalidRequest
from tests.unit.api.messages.bodies import HYBRID, TOOL, USER, body, to_native

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def assert_changes(before: dict[str, Any], after: dict[str, Any], facts: ModelFacts = HYBRID) -> None:
    """The fields `before` become those `after`; all others stay."""
    assert to_native(facts, **before) == {
        name: value for name, value in {**body(**before), **after}.items() if value is not None
    }


def test_another_model() -> None:
    assert to_native(model="qwen3.7-plus")["model"] == "qwen3.7-plus"


@pytest.mark.parametrize(
    "name",
    ["betas", "container", "context_management", "fallbacks", "mcp_servers", "service_tier", "speed"],
)
def test_fields_of_anthropic_are_left_out(name: str) -> None:
    assert_changes({name: {"a": 1}}, {name: None})


@pytest.mark.parametrize("config", [None, {"effort": "low"}])
def test_the_older_name_of_a_format(config: Any) -> None:
    wanted = {"type": "json_schema", "schema": {"description": "Größe"}}
    fields = {"output_format": wanted} | ({} if config is None else {"output_config": config})
    assert_changes(fields, {"output_format": None, "output_config": {**(config or {}), "format": wanted}})


def test_the_billing_header_is_left_out() -> None:
    header = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.abc;"}
    rest = {"type": "text", "text": "sei nett, grüß", "cache_control": {"type": "ephemeral"}}
    assert_changes({"system": [header, rest]}, {"system": [rest]})
    assert_changes({"system": [header]}, {"system": None})


def test_a_system_message_in_the_conversation_is_a_users_text_in_its_place() -> None:
    mark = {"type": "ephemeral"}
    messages = [
        {"role": "system", "content": "ä"},
        USER,
        {"role": "system", "content": [{"type": "text", "text": "b", "cache_control": mark}]},
    ]
    reminder = "<system-reminder>\n{}\n</system-reminder>"
    block = {"type": "text", "text": reminder.format("b"), "cache_control": mark}
    assert_changes(
        {"messages": messages},
        {
            "messages": [
                {"role": "user", "content": reminder.format("ä")},
                USER,
                {"role": "user", "content": [block]},
            ]
        },
    )


USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}


@pytest.mark.parametrize(
    ("role", "block", "expected"),
    [
        ("user", {"type": "text", "text": ""}, None),
        ("assistant", {"type": "thinking", "thinking": "hm", "signature": ""},
         {"type": "thinking", "thinking": "hm"}),
        ("assistant", {"type": "thinking", "thinking": "hm", "signature": "s"},
         {"type": "thinking", "thinking": "hm", "signature": "s"}),
        ("assistant", {"type": "thinking", "thinking": "", "signature": ""}, None),
        ("assistant", {"type": "redacted_thinking", "data": "x"}, None),
        ("user", {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": ""}]},
         {"type": "tool_result", "tool_use_id": "c", "content": ""}),
        ("user", {"type": "tool_result", "tool_use_id": "c",
                  "content": [{"type": "tool_reference", "tool_name": "Grep"}]},
         {"type": "tool_result", "tool_use_id": "c",
          "content": [{"type": "text", "text": "The tool Grep is available."}]}),
    ],
)  # fmt: skip
def test_blocks(role: str, block: dict[str, Any], expected: dict[str, Any] | None) -> None:
    other = USE if role == "assistant" else {"type": "text", "text": "ü"}
    left = [other] if expected is None else [expected, other]
    assert_changes(
        {"messages": [{"role": role, "content": [block, other]}]},
        {"messages": [{"role": role, "content": left}]},
    )


@pytest.mark.parametrize("content", ["", [], [{"type": "text", "text": ""}]])
def test_a_message_that_says_nothing_is_left_out(content: Any) -> None:
    assert_changes({"messages": [USER, {"role": "assistant", "content": content}]}, {"messages": [USER]})


def test_a_conversation_that_says_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_native(messages=[{"role": "user", "content": ""}])
    assert caught.value.param == "messages"


def test_server_tools_and_what_belongs_to_tool_search_are_left_out() -> None:
    assert_changes({"tools": [SEARCH, TOOL | {"defer_loading": True}]}, {"tools": [TOOL]})


def test_without_a_tool_there_is_no_choice() -> None:
    assert_changes({"tools": [SEARCH], "tool_choice": {"type": "auto"}}, {"tools": None, "tool_choice": None})


def test_a_choice_of_a_tool_that_was_left_out() -> None:
    choice = {"type": "tool", "name": "web_search"}
    assert_changes({"tools": [SEARCH, TOOL], "tool_choice": choice}, {"tools": [TOOL], "tool_choice": None})


def test_max_tokens_are_clamped() -> None:
    assert_changes({"max_tokens": 128_000}, {"max_tokens": 65_536})


def test_adaptive_thinking_gets_a_budget_below_the_clamped_max_tokens() -> None:
    after = to_native(max_tokens=128_000, thinking={"type": "adaptive"}, output_config={"effort": "high"})
    assert after["thinking"] == {"type": "enabled", "budget_tokens": 65_536 * 3 // 4}


def test_a_count_says_nothing_of_thinking() -> None:
    raw = json.dumps({"model": "m", "messages": [USER], "thinking": {"type": "adaptive"}}).encode()
    counted = native_body(parse_messages_request(raw, is_count=True), model="m", facts=HYBRID)
    assert json.loads(counted) == {"model": "m", "messages": [USER]}


@pytest.mark.parametrize(
    ("config", "expected"), [({"effort": "high"}, None), ({"effort": "high", "é": "ü"}, {"é": "ü"})]
)
def test_an_effort_is_left_out_for_a_model_that_never_thinks(config: Any, expected: Any) -> None:
    before = {"thinking": {"type": "adaptive"}, "output_config": config}
    assert_changes(before, {"thinking": None, "output_config": expected}, ModelFacts("never"))


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "f"}])
def test_a_tool_is_not_forced_while_thinking(choice: dict[str, Any]) -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    before = {
        "tools": [TOOL],
        "tool_choice": {**choice, "disable_parallel_tool_use": True},
        "thinking": thinking,
    }
    assert_changes(before, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}})


def test_a_tool_is_forced_without_thinking() -> None:
    before = {"tools": [TOOL], "tool_choice": {"type": "any"}}
    assert_changes(before, {"thinking": {"type": "disabled"}})


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model" : "m", "max_tokens":1.0e0, "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}]}',
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}],"x":[1e400,{"y":"\\ud800"}]}',
    ],
)
def test_the_very_bytes_go_on(raw: bytes) -> None:
    raw = raw.replace(b"1.0e0", b"1")
    assert native_body(parse_messages_request(raw), model="m", facts=HYBRID) == raw


def test_what_is_not_changed_is_sent_as_it_was_spelled() -> None:
    raw = (
        b'{"messages":[ {"role":"user", "content":"\xc3\xa9"} , {"role":"system","content":"s"},'
        b'{"role" :"user","content":"\\u00e9"}],"n":1e400,"max_tokens":9,"model":"m", "betas":[]}'
    )
    assert native_body(parse_messages_request(raw), model="m", facts=HYBRID) == (
        b'{"messages":[{"role":"user", "content":"\xc3\xa9"},'
        b'{"role":"user","content":"<system-reminder>\\ns\\n</system-reminder>"},'
        b'{"role" :"user","content":"\\u00e9"}],"n":1e400,"max_tokens":9,"model":"m"}'
    )


words = st.text(st.characters(codec="utf-8"), max_size=5)
content = words | st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, words)
    | st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": ""}, words),
    max_size=3,
)
messages = st.lists(
    st.builds(
        lambda role, said: {"role": role, "content": said},
        st.sampled_from(["user", "assistant", "system"]),
        content,
    ),
    min_size=1,
)


@given(messages, st.booleans(), st.lists(st.sampled_from(["betas", "speed", "x"]), max_size=2))
def test_a_body_made_fit_is_fit(said: list[Any], ensure_ascii: bool, extra: list[str]) -> None:
    given_body = body(messages=[*said, USER], **dict.fromkeys(extra, "ü"))
    raw = json.dumps(given_body, ensure_ascii=ensure_ascii).encode()
    once = native_body(parse_messages_request(raw), model="m", facts=HYBRID)
    fit = json.loads(once)
    assert {name: fit[name] for name in fit if name != "messages"} == {
        name: value for name, value in given_body.items() if name not in ("messages", "betas", "speed")
    }
    assert all(message["role"] != "system" and message["content"] for message in fit["messages"])
    assert native_body(parse_messages_request(once), model="m", facts=HYBRID) == once
