"""The body that the gateway writes for a bridged request: it is what a scan of its text would find."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import MOST_MEMBERS
from qwen_worker.upstream.bridged_chat import bridged_body
from qwen_worker.upstream.chat_body import ChatBody, scan_chat_body

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"arguments": st.sampled_from(["", " ", "{}", None])})}
    ),
    max_size=2,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "developer", "tool"]), "content": VALUES},
        optional={"tool_calls": CALLS},
    ),
    max_size=4,
)


def facts(body: ChatBody) -> dict[str, Any]:
    """All that the rules can ask of a body."""
    messages, text = body.messages, body.text
    return {
        "raw": body.raw,
        "members": {
            name: (member.start, member.value_start, member.end, text[member.start : member.end])
            for name, member in body.members.items()
        },
        "values": {name: body.value(name) for name in body.members if name != "messages"},
        "places": [
            (messages.items.start(i), messages.items.scan_object(i).end) for i in range(messages.items.count)
        ],
        "noted": (messages.instructions, messages.developers, messages.empty_calls, messages.problem),
        "is_unique": body.is_unique,
    }


@given(fields=st.dictionaries(st.text().filter(str.isascii), VALUES, max_size=5), messages=MESSAGES)
def test_where_the_parts_are_is_known_without_a_scan(fields: dict[str, Any], messages: list[Any]) -> None:
    chat = {**fields, "messages": messages, "stream": True}

    body = bridged_body(chat)

    assert json.loads(body.raw) == chat
    assert facts(body) == facts(scan_chat_body(body.raw, body.text))
    assert body.value("messages") is body.messages


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"seed": json.loads("1e400")}, "a number is too large"),
        ({f"field_{number}": 1 for number in range(MOST_MEMBERS)}, "more than 1,000 fields"),
    ],
)
def test_what_cannot_be_written_or_read_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem) as caught:
        bridged_body({**fields, "messages": []})

    assert caught.value.code == "invalid_json"
