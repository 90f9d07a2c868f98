"""Each rule that changes a request, with the failure that it prevents, and what it must leave alone."""

import json
from typing import Any

import pytest

from qwen_worker.api.chat.request import parse_chat_request
from qwen_worker.errors import InvalidRequest
from qwen_worker.upstream.hosts import HostFamily
from tests.unit.upstream.rules.preparing import Host, PreparedRequest, prepare_request

HELLO: dict[str, Any] = {"role": "user", "content": "hello"}
MARK = {"type": "ephemeral"}
FAMILIES: tuple[HostFamily, ...] = ("portal", "dashscope", "other")
QWEN: tuple[HostFamily, ...] = ("portal", "dashscope")


def target(family: HostFamily, default_model: str = "qwen3-coder-plus", **aliases: str) -> Host:
    return Host("oauth" if family == "portal" else "api_key", family, default_model, aliases)


def prepare_raw(raw: bytes, to: Host) -> PreparedRequest:
    prepared = prepare_request(parse_chat_request(raw), to)
    again = prepare_request(parse_chat_request(prepared.body), to)
    assert again == prepared, "preparing a prepared body changes nothing"
    return prepared


def prepare(family: HostFamily, **fields: Any) -> dict[str, Any]:
    """The prepared body of a request for qwen3-coder-plus that says hello, but for `fields`."""
    body = {"model": "qwen3-coder-plus", "messages": [HELLO], **fields}
    prepared: dict[str, Any] = json.loads(prepare_raw(json.dumps(body).encode(), target(family)).body)
    return prepared


def text_part(text: str, *, marked: bool = False) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "text", "text": text}
    return {**part, "cache_control": MARK} if marked else part


def tool(parameters: Any = None, **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters, **function}}


# --- nothing to change


@pytest.mark.parametrize("family", ["dashscope", "other"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"qwen3-max","messages":[{"role":"user","content":"x"}]}',
        b' {\n "messages" : [ {"content":"\\ud800 \\u0041\\/","role":"user"} ] , "model":"qwen3-max"\n}\n',
        b'{"model":"qwen3-max","messages":[{"role":"user","content":"x"}],"temperature":0,"seed":9007199254740993,'
        b'"top_p":1.0,"stop":["\xc3\xa9"],"n":1,"logit_bias":{"50256":-1e2},"x":1e400,"y":-0.0}',
        b'{"model":"qwen3-max","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema",'
        b'"json_schema":{"name":"a","strict":true,"schema":{"additionalProperties":false}}},"user":"u",'
        b'"parallel_tool_calls":false,"tool_choice":"required","tools":[{"type":"function","function":'
        b'{"name":"f","strict":true,"parameters":{"additionalProperties":false}}}]}',
    ],
)
def test_a_body_that_needs_no_change_is_forwarded_byte_for_byte(family: HostFamily, body: bytes) -> None:
    assert prepare_raw(body, target(family)).body == body


def test_only_what_changes_is_spelled_anew() -> None:
    body = (
        b'{ "x" : 1e400, "seed":9007199254740993,"messages":[ '
        b'{"role" :"user","content":"\\ud800 \xf0\x9f\x99\x82"},\n'
        b'{"role":"user","content":"bye","name":"a\\/b"}],'
        b'"stream":true , "model":"qwen3-max","y":[1.0,-0.0,1E2]}'
    )

    prepared = prepare_raw(body, target("dashscope")).body

    for untouched in (
        b'"x" : 1e400',
        b'"seed":9007199254740993',
        b'{"role" :"user","content":"\\ud800 \xf0\x9f\x99\x82"}',
        b'"name":"a\\/b"',
        b'"y":[1.0,-0.0,1E2]',
    ):
        assert untouched in prepared
    assert b'{"type":"text","text":"bye","cache_control":{"type":"ephemeral"}}' in prepared


def test_a_repeated_field_reaches_qwen_once_as_it_was_checked() -> None:
    body = b'{"model":"a","messages":[],"messages":[{"role":"user","content":"x"}],"model":"b","n":200,"n":1}'

    prepared = prepare_raw(body, target("other"))

    pairs = json.loads(prepared.body, object_pairs_hook=list)
    assert sorted(name for name, _ in pairs) == ["messages", "model", "n"]
    assert prepared.model == "b"
    assert json.loads(prepared.body) == {"model": "b", "messages": [{"role": "user", "content": "x"}], "n": 1}


@pytest.mark.parametrize(
    ("family", "stream"), [("other", False), ("other", True), ("dashscope", False), ("portal", False)]
)
def test_a_body_that_needs_no_change_is_the_very_bytes_that_came(family: HostFamily, stream: bool) -> None:
    first = {"role": "system", "content": [text_part("Be brief.", marked=True)]}
    conversation = [first, {"role": "user", "content": "h\u00e9"}]
    body = {"model": "qwen3-coder-plus", "messages": conversation, "stream": stream}
    raw = json.dumps(body, ensure_ascii=False).encode()

    chat = parse_chat_request(raw)

    assert chat.body.raw is raw
    assert prepare_request(chat, target(family)).body is raw


def test_a_body_nested_to_the_edge_of_the_stack_is_refused_or_prepared() -> None:
    for depth in range(50, 1100, 50):
        content = "[" * depth + "]" * depth
        body = f'{{"messages":[{{"role":"system","content":"x","x":{content}}}],"stream":true}}'.encode()
        try:
            prepared = prepare_request(parse_chat_request(body), target("portal"))
        except InvalidRequest:
            continue
        assert content.encode() in prepared.body


# --- the model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fields", [{}, {"model": None}, {"model": ""}])
def test_a_request_without_a_model_gets_the_default(family: HostFamily, fields: dict[str, Any]) -> None:
    body = json.dumps({**fields, "messages": [HELLO]}).encode()

    prepared = prepare_raw(body, target(family, "qwen3-max"))

    assert prepared.model == json.loads(prepared.body)["model"] == "qwen3-max"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("model", ["qwen3-coder-flash", "unheard-of", "Qwen/Qwen3-32B", "模型"])
def test_a_named_model_reaches_qwen_by_that_name(family: HostFamily, model: str) -> None:
    assert prepare(family, model=model)["model"] == model


@pytest.mark.parametrize(
    ("named", "model"),
    [("gpt-4o", "qwen3-max"), ("small", "qwen3-max"), ("round", "round"), ("qwen3-max", "qwen3-max")],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_configured_aliases_are_replaced(family: HostFamily, named: str, model: str) -> None:
    body = json.dumps({"model": named, "messages": [HELLO]}).encode()
    aliases = {"gpt-4o": "qwen3-max", "small": "gpt-4o", "round": "and", "and": "about", "about": "round"}

    prepared = prepare_raw(body, target(family, **aliases))

    assert prepared.model == json.loads(prepared.body)["model"] == model


@pytest.mark.parametrize(
    ("family", "named", "default", "model"),
    [
        ("portal", "coder-model", "qwen3-max", "coder-model"),
        ("portal", "vision-model", "qwen3-max", "vision-model"),
        ("dashscope", "coder-model", "qwen3-max", "qwen3-max"),
        ("dashscope", "vision-model", "qwen3-max", "qwen3-vl-plus"),
        ("other", "coder-model", "qwen3-max", "qwen3-max"),
        ("other", "coder-model", "coder-model", "qwen3-coder-plus"),
        ("dashscope", None, "coder-model", "qwen3-coder-plus"),
        ("portal", None, "coder-model", "coder-model"),
    ],
)
def test_an_api_key_never_asks_for_an_alias_of_the_portal(
    family: HostFamily, named: str | None, default: str, model: str
) -> None:
    body = json.dumps({"model": named, "messages": [HELLO]}).encode()

    assert prepare_raw(body, target(family, default)).model == model


# --- rules for every host


@pytest.mark.parametrize("family", FAMILIES)
def test_empty_tools_are_dropped_with_what_refers_to_them(family: HostFamily) -> None:
    prepared = prepare(family, tools=[], tool_choice="auto", parallel_tool_calls=True)

    assert not {"tools", "tool_choice", "parallel_tool_calls"} & prepared.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_tools_and_what_refers_to_them_stay(family: HostFamily) -> None:
    fields = {"tools": [tool({"type": "object"})], "tool_choice": "required", "parallel_tool_calls": False}

    prepared = prepare(family, **fields)

    assert {name: prepared[name] for name in fields} == fields


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stream", [{}, {"stream": False}, {"stream": None}])
def test_stream_options_without_a_stream_are_dropped(family: HostFamily, stream: dict[str, Any]) -> None:
    assert "stream_options" not in prepare(family, stream_options={"include_usage": True}, **stream)


@pytest.mark.parametrize("family", FAMILIES)
def test_stream_options_of_a_stream_stay(family: HostFamily) -> None:
    options = {"include_usage": True, "unheard_of": 1}

    assert prepare(family, stream=True, stream_options=options)["stream_options"] == options


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_completion_tokens": 100}, 100),
        ({"max_completion_tokens": 100, "max_tokens": 200}, 100),
        ({"max_completion_tokens": None, "max_tokens": 200}, 200),
        ({"max_tokens": 65_536}, 65_536),
        ({"max_tokens": 65_537}, 65_536),
        ({"max_completion_tokens": 10**30}, 65_536),
        ({"max_completion_tokens": -1, "max_tokens": 200}, 200),
        ({"max_completion_tokens": 100, "max_tokens": 0}, 100),
    ],
)
def test_the_limit_has_the_name_and_the_size_that_qwen_takes(
    family: HostFamily, fields: dict[str, Any], limit: int
) -> None:
    prepared = prepare(family, **fields)

    assert prepared["max_tokens"] == limit
    assert "max_completion_tokens" not in prepared


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_means_none_is_left_out(family: HostFamily, name: str, limit: int) -> None:
    assert not {"max_tokens", "max_completion_tokens"} & prepare(family, **{name: limit}).keys()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("qwen3.8-max", 131_072),
        ("qwen3.8-max-0902", 131_072),
        ("qwen3.7-plus", 65_536),
        ("qwen3-coder-next", 65_536),
        ("qwen3-vl-plus", 32_768),
        ("kimi-k2", 200_000),
        ("qwen9-max", 200_000),
    ],
)
def test_a_limit_is_clamped_to_what_a_known_model_writes(family: HostFamily, model: str, limit: int) -> None:
    assert prepare(family, model=model, max_tokens=200_000)["max_tokens"] == limit
    assert prepare(family, model=model, max_tokens=limit)["max_tokens"] == limit
    assert "max_tokens" not in prepare(family, model=model), "a limit is never invented"


def called(*arguments: Any, content: Any = None) -> dict[str, Any]:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", **given}} for given in arguments]
    return {"role": "assistant", "content": content, "tool_calls": calls}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("empty", ["", " ", "\n\t", None])
@pytest.mark.parametrize("content", [None, "I shall call f, \u00e9."])
def test_a_call_with_empty_arguments_is_sent_with_an_empty_object(
    family: HostFamily, empty: Any, content: Any
) -> None:
    given = [{"arguments": '{"arguments": ""}'}, {"arguments": empty}, {}, {"arguments": {}}]
    mended = [given[0], {"arguments": "{}"}, *given[2:]]
    result = {"role": "tool", "tool_call_id": "c", "content": '"arguments": ""'}
    messages = [HELLO, called(*given, content=content), result, called(*given), HELLO]

    prepared = prepare(family, messages=messages)["messages"]

    expected = [HELLO, called(*mended, content=content), result, called(*mended), HELLO]
    assert prepared[-5:] == expected


@pytest.mark.parametrize("family", ["dashscope", "other"])
@pytest.mark.parametrize(
    "message",
    [
        called({"arguments": "{}"}),
        {"role": "assistant", "content": "x", "tool_calls": None},
        {"role": "assistant", "content": "x", "tool_calls": {"function": {"arguments": ""}}},
        {"role": "assistant", "content": "x", "tool_calls": [{"arguments": ""}, "", {"function": ""}]},
        {"role": "user", "content": '"arguments":""', "tool_calls": called({"arguments": ""})["tool_calls"]},
    ],
)
def test_only_empty_arguments_of_calls_are_touched(family: HostFamily, message: dict[str, Any]) -> None:
    body = json.dumps({"model": "qwen3-coder-plus", "messages": [HELLO, message]}).encode()

    assert prepare_raw(body, target(family)).body == body


@pytest.mark.parametrize("family", ["dashscope", "other"])
def test_a_developer_message_becomes_a_system_message_in_its_place(family: HostFamily) -> None:
    messages = [HELLO, {"role": "developer", "content": "Be brief.", "name": "d"}, HELLO]

    prepared = prepare(family, messages=messages)

    assert prepared["messages"] == [HELLO, {"role": "system", "content": "Be brief.", "name": "d"}, HELLO]


# --- rules for Qwen's hosts


@pytest.mark.parametrize("family", QWEN)
def test_nulls_that_mean_not_set_are_dropped(family: HostFamily) -> None:
    names = ("temperature", "tools", "tool_choice", "stop", "response_format", "max_tokens", "user", "seed")

    prepared = prepare(family, **dict.fromkeys(names), unheard_of=None)

    assert not prepared.keys() & names
    assert "unheard_of" in prepared


@pytest.mark.parametrize("family", QWEN)
@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"reasoning_effort": "none"}, {"enable_thinking": False}),
        ({"reasoning_effort": "minimal"}, {"enable_thinking": False}),
        ({"reasoning_effort": "low"}, {"enable_thinking": True, "thinking_budget": 1024}),
        ({"reasoning_effort": "medium"}, {"enable_thinking": True, "thinking_budget": 8192}),
        ({"reasoning_effort": "high"}, {"enable_thinking": True}),
        ({"reasoning_effort": "xhigh"}, {"enable_thinking": True}),
        ({"reasoning_effort": None}, {}),
        ({"reasoning_effort": "unheard-of"}, {"reasoning_effort": "unheard-of"}),
        ({"reasoning_effort": ["low"]}, {"reasoning_effort": ["low"]}),
        ({"reasoning_effort": "high", "enable_thinking": False}, {"enable_thinking": False}),
        ({"reasoning_effort": "low", "thinking_budget": 5}, {"thinking_budget": 5}),
        (
            {"reasoning_effort": "low", "enable_thinking": None},
            {"enable_thinking": True, "thinking_budget": 1024},
        ),
        ({"enable_thinking": True, "thinking_budget": 5}, {"enable_thinking": True, "thinking_budget": 5}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_effort_becomes_qwens_thinking(
    family: HostFamily, fields: dict[str, Any], thinking: dict[str, Any], stream: bool
) -> None:
    prepared = prepare(family, model="qwen3.7-plus", stream=stream, **fields)

    names = ("reasoning_effort", "enable_thinking", "thinking_budget")
    assert {name: prepared[name] for name in names if name in prepared} == thinking


THINKING_FIELDS = ("reasoning_effort", "enable_thinking", "thinking_budget")


@pytest.mark.parametrize("family", QWEN)
@pytest.mark.parametrize(
    ("model", "fields", "thinking"),
    [
        ("qwen3.8-max", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ("qwen3.8-flash", {"reasoning_effort": "none"}, {"reasoning_effort": "none"}),
        ("qwen3.8-max", {"reasoning_effort": "low", "thinking_budget": 9}, {"thinking_budget": 9}),
        ("qwen3-coder-plus", {"reasoning_effort": "high"}, {}),
        ("qwen3-coder-next", {"reasoning_effort": "none"}, {}),
        ("qwen3-235b-a22b-instruct-2507", {"reasoning_effort": "low"}, {}),
        ("qwen3-coder-plus", {"enable_thinking": True}, {"enable_thinking": True}),
        ("qwen3.5-27b", {"reasoning_effort": "high"}, {"enable_thinking": True, "thinking_budget": 32_768}),
        ("qwen3.5-27b", {"reasoning_effort": "none"}, {"enable_thinking": False}),
        ("qwen3-max", {"reasoning_effort": "medium"}, {"enable_thinking": True, "thinking_budget": 8192}),
        ("glm-5", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
    ],
)
def test_an_effort_is_sent_as_the_model_takes_it(
    family: HostFamily, model: str, fields: dict[str, Any], thinking: dict[str, Any]
) -> None:
    prepared = prepare(family, model=model, stream=True, **fields)

    assert {name: prepared[name] for name in THINKING_FIELDS if name in prepared} == thinking


def test_reasoning_effort_stays_where_qwens_terms_are_unknown() -> None:
    prepared = prepare("other", reasoning_effort="low")

    assert prepared["reasoning_effort"] == "low"
    assert "enable_thinking" not in prepared


def test_a_model_that_always_thinks_is_not_told_not_to() -> None:
    prepared = prepare("dashscope", model="qwen3-vl-235b-a22b-thinking", reasoning_effort="none", stream=True)

    assert not {"reasoning_effort", "enable_thinking"} & prepared.keys()


@pytest.mark.parametrize(
    ("fields", "enabled"),
    [
        ({}, False),
        ({"reasoning_effort": "high"}, False),
        ({"enable_thinking": True}, True),
        ({"stream": True}, None),
        ({"stream": True, "reasoning_effort": "high"}, True),
    ],
)
def test_open_weight_models_do_not_think_without_a_stream(
    fields: dict[str, Any], enabled: bool | None
) -> None:
    for model in ("qwen3-32b", "qwen3-235b-a22b", "qwen3-0.6b"):
        assert prepare("dashscope", model=model, **fields).get("enable_thinking") is enabled


@pytest.mark.parametrize("family", QWEN)
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
@pytest.mark.parametrize(
    "thinking",
    [
        {"enable_thinking": True},
        {"reasoning_effort": "low", "model": "qwen3-max"},
        {"model": "qwen3.6-plus"},
        {"model": "qwq-plus"},
    ],
)
def test_a_thinking_model_is_not_forced_to_call(
    family: HostFamily, choice: Any, thinking: dict[str, Any]
) -> None:
    prepared = prepare(family, tools=[tool({"type": "object"})], tool_choice=choice, **thinking)

    assert prepared["tool_choice"] == "auto"


@pytest.mark.parametrize("family", QWEN)
@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        ("required", {}),
        ("required", {"enable_thinking": False, "model": "qwen3.6-plus"}),
        ("none", {"enable_thinking": True}),
        ("auto", {"enable_thinking": True}),
    ],
)
def test_any_other_tool_choice_stays(family: HostFamily, choice: str, fields: dict[str, Any]) -> None:
    tools = [tool({"type": "object"})]

    assert prepare(family, tools=tools, tool_choice=choice, **fields)["tool_choice"] == choice


# --- marks for the prompt cache


@pytest.mark.parametrize("family", QWEN)
@pytest.mark.parametrize(
    ("last", "content"),
    [
        (HELLO, [text_part("hello", marked=True)]),
        (
            {"role": "user", "content": [text_part("a"), text_part("b")]},
            [text_part("a"), text_part("b", marked=True)],
        ),
        ({"role": "tool", "content": "42", "tool_call_id": "c"}, [text_part("42", marked=True)]),
    ],
)
def test_the_last_message_of_a_stream_is_marked(
    family: HostFamily, last: dict[str, Any], content: Any
) -> None:
    first = {"role": "user", "content": "first"}

    messages = prepare(family, messages=[first, last], stream=True)["messages"]

    assert messages[-2:] == [first, {**last, "content": content}]


@pytest.mark.parametrize("family", QWEN)
@pytest.mark.parametrize(
    "last",
    [
        {"role": "user", "content": ""},
        {"role": "user", "content": []},
        {"role": "user", "content": [text_part("")]},
        {"role": "user", "content": [text_part("x"), {"type": "image_url", "image_url": {"url": "data:,"}}]},
        {"role": "user", "content": [{**text_part("x"), "cache_control": {"type": "ephemeral", "ttl": 1}}]},
        {"role": "user", "content": [{**text_part("x"), "cache_control": None}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "assistant", "content": "prefix", "partial": True},
    ],
)
def test_what_cannot_carry_a_mark_is_left_alone(family: HostFamily, last: dict[str, Any]) -> None:
    assert prepare(family, messages=[HELLO, last], stream=True)["messages"][-2:] == [HELLO, last]


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("dashscope", {"stream": False}),
        ("dashscope", {"stream": True, "model": "glm-5"}),
        ("other", {"stream": True}),
        ("portal", {"stream": False}),
    ],
)
def test_no_marks_where_they_do_not_belong(family: HostFamily, fields: dict[str, Any]) -> None:
    tools = [tool({"type": "object"})]

    prepared = prepare(family, tools=tools, **fields)

    assert prepared["messages"][-1] == HELLO
    assert prepared["tools"] == tools


@pytest.mark.parametrize("family", QWEN)
def test_the_last_tool_of_a_stream_is_marked(family: HostFamily) -> None:
    tools = [tool({"type": "object"}, description="{"), tool({"type": "object"}, description="}")]

    prepared = prepare(family, tools=tools, stream=True)["tools"]

    assert prepared == [tools[0], {**tools[1], "cache_control": MARK}]


def test_a_tool_without_anything_is_marked_too() -> None:
    assert prepare("dashscope", tools=[{}], stream=True)["tools"] == [{"cache_control": MARK}]


# --- rules for the portal


def system(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "system", "content": [*parts], **fields}


IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}, "x": 1}


@pytest.mark.parametrize(
    ("messages", "merged"),
    [
        ([HELLO], [system(text_part("", marked=True)), HELLO]),
        ([{"role": "system", "content": "A"}, HELLO], [system(text_part("A", marked=True)), HELLO]),
        ([{"role": "developer", "content": "A"}, HELLO], [system(text_part("A", marked=True)), HELLO]),
        ([HELLO, {"role": "system", "content": "A"}], [system(text_part("A", marked=True)), HELLO]),
        (
            [
                {"role": "developer", "content": "A", "name": "n", "x": [1.0]},
                HELLO,
                {"role": "system", "content": [text_part("B"), text_part("C")], "name": "lost"},
                {"role": "developer", "content": "D"},
                HELLO,
            ],
            [
                system(
                    text_part("A"),
                    text_part("B"),
                    text_part("C"),
                    text_part("D", marked=True),
                    name="n",
                    x=[1.0],
                ),
                HELLO,
                HELLO,
            ],
        ),
        ([system(IMAGE), HELLO], [system(IMAGE, text_part("", marked=True)), HELLO]),
        ([system(IMAGE, text_part("A")), HELLO], [system(IMAGE, text_part("A", marked=True)), HELLO]),
        ([system(), HELLO], [system(text_part("", marked=True)), HELLO]),
        ([system(), {"role": "system", "content": "A"}], [system(text_part("A", marked=True))]),
        ([{"role": "system", "content": ""}, HELLO], [system(text_part("", marked=True)), HELLO]),
        (
            [system({**text_part("A"), "cache_control": {"type": "ephemeral", "x": 1}}), HELLO],
            [system({**text_part("A"), "cache_control": {"type": "ephemeral", "x": 1}}), HELLO],
        ),
        (
            [system({**text_part("A"), "cache_control": None}), HELLO],
            [system({**text_part("A"), "cache_control": None}, text_part("", marked=True)), HELLO],
        ),
        (
            [{"role": "system", "content": "A"}, {"role": "system", "content": "B"}],
            [system(text_part("A"), text_part("B", marked=True))],
        ),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_portal_gets_one_leading_system_message(
    messages: list[dict[str, Any]], merged: list[dict[str, Any]], indent: int | None
) -> None:
    body = json.dumps({"model": "coder-model", "messages": messages}, indent=indent).encode()

    assert json.loads(prepare_raw(body, target("portal")).body)["messages"] == merged


def test_merged_texts_keep_their_spelling() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"},{"content":"\\ud800\\u0041\xe4\xbd\xa0","role":"system"},'
        b'{"role":"system","content":[ {"type":"text","text":"\\/","y":1e400} ]}]}'
    )

    prepared = prepare_raw(body, target("portal")).body

    assert b'{"type":"text","text":"\\ud800\\u0041\xe4\xbd\xa0"}' in prepared
    assert b'{"type":"text","text":"\\/","y":1e400,"cache_control":{"type":"ephemeral"}}' in prepared


def test_the_last_message_that_stays_is_marked_though_others_follow() -> None:
    messages = [HELLO, {"role": "user", "content": "bye"}, {"role": "system", "content": "A"}]

    prepared = prepare("portal", messages=messages, stream=True)["messages"]

    bye = {"role": "user", "content": [text_part("bye", marked=True)]}
    assert prepared == [system(text_part("A", marked=True)), HELLO, bye]


@pytest.mark.parametrize("family", ["dashscope", "other"])
def test_system_messages_stay_where_they_are_elsewhere(family: HostFamily) -> None:
    messages = [
        HELLO,
        {"role": "system", "content": "A"},
        {"role": "system", "content": [text_part("B")]},
        HELLO,
    ]

    assert prepare(family, messages=messages)["messages"] == messages


def test_the_portal_gets_no_strict_schema() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "strict": {"type": "boolean", "description": "a parameter that is named strict"},
            "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}},
            "list": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": False, "minimum": 1.5},
            },
            "choice": {"anyOf": [{"type": "object", "additionalProperties": False}, {"type": "null"}]},
            "plain": {"const": {"additionalProperties": False}, "default": {"strict": True}},
        },
        "$defs": {"n": {"additionalProperties": False, "not": {"additionalProperties": True}}},
        "required": ["strict", "additionalProperties"],
    }
    stripped = {
        "type": "object",
        "properties": {
            "strict": {"type": "boolean", "description": "a parameter that is named strict"},
            "additionalProperties": {"type": "object"},
            "list": {"type": "array", "items": {"type": "object", "minimum": 1.5}},
            "choice": {"anyOf": [{"type": "object"}, {"type": "null"}]},
            "plain": {"const": {"additionalProperties": False}, "default": {"strict": True}},
        },
        "$defs": {"n": {"not": {}}},
        "required": ["strict", "additionalProperties"],
    }
    tools = [
        tool(schema, strict=True, description="模型 \ud800"),
        {"type": "x", "strict": True, "parameters": schema},
    ]

    prepared = prepare("portal", tools=tools)["tools"]

    assert prepared == [tool(stripped, description="模型 \ud800"), {"type": "x", "parameters": stripped}]
    assert prepare("dashscope", tools=tools)["tools"] == tools
    assert prepare("other", tools=tools)["tools"] == tools


def test_tools_in_any_script_keep_their_words() -> None:
    body = (
        '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":'
        '{"name":"f","strict":true,"description":"模型 \\u00e9 é 🙂 \\ud83d\\ude42"}}]}'
    ).encode()

    (prepared,) = json.loads(prepare_raw(body, target("portal")).body)["tools"]

    assert prepared["function"] == {"name": "f", "description": "模型 é é 🙂 🙂"}


def test_a_schema_with_a_number_that_no_float_holds_is_left_to_qwen() -> None:
    schema = '{"maximum":1e400,"additionalProperties":false}'
    tools = f'[{{"function":{{"strict":true,"parameters":{schema}}}}}]'
    body = f'{{"messages":[{{"role":"user","content":"x"}}],"tools":{tools}}}'.encode()

    assert tools.encode() in prepare_raw(body, target("portal")).body


@pytest.mark.parametrize("description", ["plain", "\u6a21\u578b"])
@pytest.mark.parametrize("depth", [50, 200, 300, 400, 480])
def test_schemas_are_stripped_or_left_to_qwen_however_deep(description: str, depth: int) -> None:
    schema = '{"not":' * depth + '{"additionalProperties":false}' + "}" * depth
    tools = f'[{{"description":"{description}","strict":true,"parameters":{schema}}}]'
    body = f'{{"messages":[{{"role":"user","content":"x"}}],"tools":{tools}}}'.encode()

    prepared = prepare_request(parse_chat_request(body), target("portal")).body

    assert depth > 200 or b"additionalProperties" not in prepared
    assert json.loads(prepared)["tools"][0]["description"] == description


def test_images_audio_and_files_are_untouched() -> None:
    parts = [
        IMAGE,
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "video", "video": ["https://x.example/1.png"]},
        text_part("What is this?"),
    ]
    message = {"role": "user", "content": parts}

    for family in FAMILIES:
        assert prepare(family, messages=[message])["messages"][-1] == message
    marked = prepare("portal", messages=[message], stream=True)["messages"][-1]["content"]
    assert marked == [*parts[:-1], text_part("What is this?", marked=True)]
