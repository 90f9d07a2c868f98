"""Any JSON value in any place of a request: it is prepared for each kind of host, or refused with a 400."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwen_worker.api.messages.bridge import chat_body
from qwen_worker.api.messages.count_tokens import early_input_tokens, estimate_input_tokens
from qwen_worker.api.messages.native import native_body
from qwen_worker.api.messages.request import parse_messages_request
from qwen_worker.api.messages.thinking import ModelFacts
from qwen_worker.errors import InvalidRequest
from qwen_worker.upstream.bridged_chat import bridged_body, prepare_bridged
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.hosts import HostFamily
from tests.unit.api.messages.bodies import HYBRID

IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
TEXT = {"type": "text", "text": "r"}
RICH: dict[str, Any] = {
    "model": "qwen3-max",
    "max_tokens": 2000,
    "stream": True,
    "system": [{"type": "text", "text": "sei nett", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "größer?"}, IMAGE]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "ja"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "r"}, IMAGE],
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
            ],
        },
        {"role": "system", "content": "a note"},
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["X"],
    "context_management": {"edits": []},
}
FAMILIES: tuple[HostFamily, ...] = ("other", "dashscope", "portal")
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "ä", "text"])
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value within a value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*place, key)
            yield from places(value[key], (*place, key))


@given(st.sampled_from(list(places(RICH))), _values)
@example(("messages", 2, "content", 0, "content", 0), None)
@example(("messages", 2, "content", 0, "content", 0), "text")
@example(("tools",), None)
def test_odd_value(place: tuple[Any, ...], odd: Any) -> None:
    body = copy.deepcopy(RICH)
    holder: Any = body
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = odd
    with suppress(InvalidRequest):
        prepare_everywhere(json.dumps(body).encode())


def prepare_everywhere(raw: bytes) -> None:
    """Does with a body all that requests have done to them. Raises InvalidRequest if it is none at all."""
    request = parse_messages_request(raw)
    assert estimate_input_tokens(request.body()) > 0
    assert early_input_tokens(request.body(), request.text_of("tools")) > 0
    for facts in (HYBRID, ModelFacts("never"), ModelFacts("always"), ModelFacts()):
        with suppress(InvalidRequest):
            assert isinstance(json.loads(native_body(request, model="m", facts=facts)), dict)
        for family in FAMILIES:
            with suppress(InvalidRequest):
                prepare_bridge(request.body(), facts, Target("api_key", family, "https://host/v1", "m"))


def prepare_bridge(body: dict[str, Any], facts: ModelFacts, target: Target) -> None:
    is_qwen_host = target.family != "other"
    chat = chat_body(body, model="m", facts=facts, cache_marks=is_qwen_host, knows_qwen_fields=is_qwen_host)
    _, prepared = prepare_bridged(bridged_body(chat), "m", target)
    assert json.loads(prepared)["messages"]


@pytest.mark.parametrize("tools", [None, []])
def test_a_choice_goes_with_the_tools(tools: Any) -> None:
    request = parse_messages_request(json.dumps({**RICH, "tools": tools}).encode())
    body = json.loads(native_body(request, model="m", facts=HYBRID))
    assert not {"tools", "tool_choice"} & body.keys()
