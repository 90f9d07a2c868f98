"""Whatever a client sends reaches Qwen, changed by the rules only, or is refused as an InvalidRequest."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.api.chat.request import parse_chat_request
from qwen_worker.errors import InvalidRequest
from qwen_worker.upstream.hosts import HostFamily
from tests.unit.upstream.rules.preparing import Host, prepare_request

TARGETS = [
    Host("oauth", "portal", "qwen3-coder-plus", {}),
    Host("api_key", "dashscope", "coder-model", {"gpt-4o": "qwen3-max"}),
    Host("api_key", "other", "qwen3-max", {"a": "b", "b": "a"}),
]
INSTRUCTIONS = ("system", "developer")
TOUCHED_BY_RULES = {
    "max_completion_tokens",
    "max_tokens",
    "model",
    "parallel_tool_calls",
    "reasoning_effort",
    "stream_options",
    "enable_thinking",
    "thinking_budget",
    "tool_choice",
    "tools",
}
CHECKED = {"frequency_penalty", "n", "presence_penalty", "stream", "temperature", "top_p"}
QWEN: set[HostFamily] = {"portal", "dashscope"}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
texts = st.text(max_size=20) | st.sampled_from(["}", '"', "\\", "[{]", "\u00e9\U0001f642", "\ud800"])
parts = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text, mark: {"type": "text", "text": text, "cache_control": mark}, texts, json_values),
    st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, texts),
    st.builds(
        lambda kind, value: {"type": kind, "value": value}, st.sampled_from(["file", "x"]), json_values
    ),
)
extras = st.dictionaries(st.sampled_from(["name", "tool_calls", "x", "\u00e9"]), json_values, max_size=2)
messages = st.builds(
    lambda extra, role, content: {**extra, "role": role, "content": content},
    extras,
    st.sampled_from(["user", "assistant", "tool", "system", "developer", "function"]),
    texts | st.lists(parts, max_size=3),
)
schemas = st.recursive(
    st.dictionaries(st.sampled_from(["type", "strict", "description"]), json_values, max_size=2),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["additionalProperties", "items", "anyOf", "strict"]),
            inner | st.lists(inner, max_size=2),
        )
        | st.builds(
            lambda named: {"properties": named}, st.dictionaries(st.text(max_size=4), inner, max_size=2)
        )
    ),
    max_leaves=6,
)
tools = st.builds(
    lambda schema, strict: {
        "type": "function",
        "function": {"name": "f", "parameters": schema, "strict": strict},
    },
    schemas,
    json_values,
) | st.dictionaries(st.text(max_size=8), json_values, max_size=2)
requests = st.builds(
    lambda unknown, known, conversation: {**unknown, **known, "messages": conversation},
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name not in TOUCHED_BY_RULES | CHECKED),
        json_values,
        max_size=3,
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.none()
            | st.sampled_from(["", "gpt-4o", "a", "coder-model", "qwen3-32b", "glm-5", "模型"]),
            "stream": st.none() | st.booleans(),
            "stream_options": st.none() | st.just({"include_usage": True}),
            "tools": st.none() | st.lists(tools, max_size=3),
            "tool_choice": st.none() | st.sampled_from(["auto", "required"]) | st.just({"type": "function"}),
            "parallel_tool_calls": st.booleans(),
            "reasoning_effort": json_values | st.sampled_from(["none", "low", "high"]),
            "enable_thinking": st.none() | st.booleans(),
            "thinking_budget": st.none() | st.integers(0, 9),
            "max_tokens": st.none() | st.integers(-1, 10**6),
            "max_completion_tokens": st.none() | st.integers(-1, 10**6),
            "temperature": st.none() | st.floats(0, 2),
        },
    ),
    st.lists(messages, min_size=1, max_size=4),
)


def without_marks(value: Any) -> Any:
    """A message as it was before a mark was set: its content as parts without `cache_control`."""
    content = value["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    stripped = [{name: item for name, item in part.items() if name != "cache_control"} for part in content]
    return {**value, "content": stripped}


@settings(max_examples=400, deadline=None)
@given(requests, st.sampled_from(TARGETS), st.sampled_from([None, 1]), st.booleans())
def test_a_valid_request_survives_with_all_that_no_rule_touches(
    body: dict[str, Any], target: Host, indent: int | None, ensure_ascii: bool
) -> None:
    spelled = json.dumps(body, indent=indent, ensure_ascii=ensure_ascii)
    try:
        raw = spelled.encode()
    except UnicodeEncodeError:
        raw = json.dumps(body, indent=indent).encode()
    prepared_request = prepare_request(parse_chat_request(raw), target)
    prepared = json.loads(prepared_request.body)

    assert prepared["model"] == prepared_request.model
    for name, value in body.items():
        if name not in TOUCHED_BY_RULES and name != "messages" and value is not None:
            assert prepared[name] == value
    others = [message for message in body["messages"] if message["role"] not in INSTRUCTIONS]
    kept = [message for message in prepared["messages"] if message["role"] != "system"]
    assert list(map(without_marks, kept)) == list(map(without_marks, others))
    assert kept[:-1] == others[:-1]
    if target.family == "portal":
        assert [message["role"] for message in prepared["messages"]].index("system") == 0
        assert prepared["messages"][0]["content"][-1]["cache_control"] is not None
    assert "max_completion_tokens" not in prepared
    assert not ("reasoning_effort" in prepared and "thinking_budget" in prepared and target.family in QWEN)

    again = prepare_request(parse_chat_request(prepared_request.body), target)
    assert again == prepared_request


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["model", "messages", "tools", "tool_choice", "stream", "max_tokens", "reasoning_effort"]
        ),
        json_values | st.lists(messages | json_values, max_size=2),
        max_size=7,
    ),
    st.lists(
        st.dictionaries(st.sampled_from(["role", "content", "x"]), json_values | st.just("user")), max_size=2
    ),
    st.sampled_from(TARGETS),
)
def test_nothing_but_an_invalid_request_is_ever_raised(
    body: dict[str, Any], conversation: list[Any], target: Host
) -> None:
    for candidate in (body, {**body, "messages": [{"role": "user", "content": "x"}, *conversation]}):
        try:
            prepared = prepare_request(parse_chat_request(json.dumps(candidate).encode()), target)
        except InvalidRequest:
            continue
        json.loads(prepared.body)
