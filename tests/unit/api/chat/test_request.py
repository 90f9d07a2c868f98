"""What is a chat request, and what a client is told that sends something else."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.api.chat.request import ChatRequest, parse_chat_request
from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.errors import InvalidRequest

HELLO: dict[str, Any] = {"role": "user", "content": "hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def parse(**fields: Any) -> ChatRequest:
    return parse_chat_request(json.dumps({"messages": [HELLO], **fields}).encode())


def refusal(raw: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse_chat_request(raw)
    assert refused.value.status == 400
    return refused.value


def refusal_of(**fields: Any) -> InvalidRequest:
    return refusal(json.dumps({"messages": [HELLO], **fields}).encode())


def test_the_facts_that_others_ask_for() -> None:
    request = parse(model="qwen3-max", stream=True, stream_options={"include_usage": True})

    assert (request.model, request.stream, request.include_usage) == ("qwen3-max", True, True)


def test_what_is_absent_or_null_is_not_set() -> None:
    for request in (parse(), parse(model=None, stream=None, stream_options=None), parse(model="")):
        assert (request.model, request.stream, request.include_usage) == (None, False, False)


@pytest.mark.parametrize("spelled", ['"caf\\u00e9-模型"', '"café-模型"', '"caf\\u00e9-\\u6a21\\u578b"'])
def test_a_model_name_is_read_in_any_script_and_spelling(spelled: str) -> None:
    raw = f'{{"messages":[{{"role":"user","content":"x"}}],"model":{spelled}}}'.encode()

    assert parse_chat_request(raw).model == "café-模型"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
        {"role": "user", "content": [{"type": "video_url", "unheard_of": True}]},
        {"role": "user", "content": "x", "name": "ann", "unheard_of": None},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "content": None, "reasoning_content": "Hm."},
        {"role": "assistant", "content": "x", "tool_calls": None},
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
        {"role": "tool", "content": [{"type": "text", "text": "42"}], "tool_call_id": "call_1"},
        {"role": "function", "content": None, "name": "f"},
    ],
)
def test_messages_as_openai_allows_them(message: dict[str, Any]) -> None:
    parse(messages=[HELLO, message])


OPTIONAL_FIELDS = (
    "model",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream",
    "stream_options",
    "tools",
    "stop",
    "seed",
    "response_format",
    "unheard_of",
)


@pytest.mark.parametrize("field", OPTIONAL_FIELDS)
def test_an_explicit_null_counts_as_absent(field: str) -> None:
    parse(**{field: None})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0),
        ("temperature", 2),
        ("temperature", 0.7),
        ("top_p", 1),
        ("frequency_penalty", -2),
        ("presence_penalty", 2.0),
        ("max_tokens", 1),
        ("max_tokens", 0),
        ("max_completion_tokens", -1),
        ("max_tokens", 10**30),
        ("max_completion_tokens", 100_000),
        ("n", 128),
        ("stream", False),
        ("tools", []),
        ("tools", [{"type": "function", "function": {"name": "f"}}, {"type": "unheard_of"}]),
        ("stop", ["a", "b"]),
        ("unheard_of", {"a": [1, None]}),
    ],
)
def test_values_within_the_limits_and_unknown_fields_pass(field: str, value: Any) -> None:
    assert parse(**{field: value}).body.members[field].value == value


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": {"0": HELLO}}, "messages", "invalid_type"),
        ({"messages": [HELLO, "hello"]}, "messages[1]", "invalid_type"),
        ({"messages": [HELLO, None]}, "messages[1]", "invalid_type"),
        ({"messages": [HELLO, HELLO, {"content": "x"}]}, "messages[2].role", "missing_required_parameter"),
        ({"messages": [{"role": None, "content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": 7, "content": "x"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "User", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        (
            {"messages": [{"role": "user", "content": None}]},
            "messages[0].content",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": "system"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "tool"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {
                "messages": [
                    HELLO,
                    {"role": "user", "content": [{"type": "text", "text": "x"}, {"text": "x"}]},
                ]
            },
            "messages[1].content[1].type",
            "missing_required_parameter",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": 1}]}]},
            "messages[0].content[0].type",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
            "missing_required_parameter",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]},
            "messages[0].content[0].text",
            "invalid_type",
        ),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": -0.1}, "temperature", "invalid_value"),
        ({"temperature": "0.7"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": 1.01}, "top_p", "invalid_value"),
        ({"frequency_penalty": -2.5}, "frequency_penalty", "invalid_value"),
        ({"presence_penalty": 3}, "presence_penalty", "invalid_value"),
        ({"max_tokens": -2}, "max_tokens", "invalid_value"),
        ({"max_tokens": 10.5}, "max_tokens", "invalid_type"),
        ({"max_tokens": True}, "max_tokens", "invalid_type"),
        ({"messages": [HELLO, {"role": "a"}, {"role": "b"}]}, "messages[1].role", "invalid_value"),
        ({"max_completion_tokens": -2}, "max_completion_tokens", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"stream": "true"}, "stream", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"stream_options": True}, "stream_options", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [{}, "f"]}, "tools[1]", "invalid_type"),
        ({"model": 7}, "model", "invalid_type"),
        ({"model": "a\x00b"}, "model", "invalid_value"),
        ({"model": "a" * 257}, "model", "invalid_value"),
        ({"model": "\ud800"}, "model", "invalid_value"),
    ],
)
def test_a_failure_names_the_field(fields: dict[str, Any], param: str, code: str) -> None:
    error = refusal_of(**fields)

    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert param in error.message


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not valid JSON"),
        (b'{"messages":[{"role":"user","content":"x"}]', "not valid JSON"),
        (b'{"messages":[{"role":"user","content":"x"}]}{}', "not valid JSON"),
        (b'{"messages":[{"role":"user","content":"x"},]}', "a value is missing at byte 43"),
        (b'{"messages":[{"role":"user","content":"x"} {"role":"user"}]}', "',' or ']' is missing at byte 42"),
        (b'{"messages":[{"role":"user","content":"x"},{"role":1', "not valid JSON"),
        (b'{"messages":[{"role":"robot"},{"role":NaN}]}', "NaN is not allowed"),
        (b'{"messages":[{"role":"user","content":"x","n":' + b"9" * 5000 + b"}]}", "too many digits"),
        (b'{"messages":[{"role":"user","content":"x"}],"seed":NaN}', "NaN"),
        (b'{"messages":[{"role":"user","content":"x"}],"seed":-Infinity}', "Infinity"),
        (b'{"messages":[{"role":"user","content":"\x00"}]}', "not valid JSON"),
        (b'{"messages":[{"role":"user","content":"x"}]}\x00', "not valid JSON"),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', "UTF-8"),
        (b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', "UTF-8"),
        ('{"messages":[{"role":"user","content":"x"}]}'.encode("utf-16"), "UTF-8"),
        (b'{"a":' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"messages":' + b"[" * 100_000, "nested too deeply"),
        (b'{"messages":[{"role":"user","content":' + b"[" * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"messages":[{"role":"user","content":"x"}],"a":' + b"[" * 500 + b"]" * 500 + b"}", "500 levels"),
    ],
)
def test_what_is_not_json_is_said_to_be_so(raw: bytes, words: str) -> None:
    error = refusal(raw)

    assert error.code == "invalid_json"
    assert words in error.message


def test_500_levels_are_not_too_deep() -> None:
    raw = b'{"messages":[{"role":"user","content":"x"}],"a":' + b"[" * 499 + b"]" * 499 + b"}"

    assert parse_chat_request(raw).body.raw == raw


def test_a_body_of_a_million_fields_is_refused_at_once() -> None:
    fields = ",".join(f'"{number}":0' for number in range(1_000_000))
    raw = f'{{"messages":[{{"role":"user","content":"x"}}],{fields}}}'.encode()

    started = time.process_time()
    error = refusal(raw)

    assert "more than 1,000 fields" in error.message
    assert time.process_time() - started < 2, "reading the fields one by one takes longer"
    parse(**{str(number): 0 for number in range(990)})


@pytest.mark.parametrize("raw", [b"[]", b"null", b"1", b'"messages"', b" true "])
def test_json_that_is_no_object_is_said_to_be_so(raw: bytes) -> None:
    error = refusal(raw)

    assert error.code == "invalid_type"
    assert "must be a JSON object" in error.message


@pytest.mark.parametrize(
    ("field", "words"), [("input", "Responses API"), ("prompt", "legacy Completions API")]
)
def test_a_body_for_another_endpoint_is_recognised(field: str, words: str) -> None:
    error = refusal(json.dumps({"model": "qwen3-max", field: "SECRET-PROMPT"}).encode())

    assert error.param == "messages"
    assert words in error.message
    assert "SECRET-PROMPT" not in error.message


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    assert parse_chat_request(
        b'\xef\xbb\xbf{"messages":[{"role":"user","content":"x"}]}'
    ).body.raw.startswith(b"{")


@pytest.mark.parametrize("content", ["x", "h\u00e9 \u6a21\u578b"])
def test_a_body_without_a_byte_order_mark_is_kept_as_the_object_that_it_is(content: str) -> None:
    raw = json.dumps({"messages": [{"role": "user", "content": content}]}, ensure_ascii=False).encode()

    assert parse_chat_request(raw).body.raw is raw


finite_values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
conversations = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "developer"]), "content": st.text()},
        optional={"na\u00efve": finite_values, "x": finite_values},
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=300)
@given(conversations, st.sampled_from([None, 1, "\t"]), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_every_message_is_known_by_its_place_and_the_instructions_by_their_index(
    conversation: list[dict[str, Any]], indent: int | str | None, separators: tuple[str, str]
) -> None:
    raw = json.dumps({"messages": conversation}, indent=indent, separators=separators).encode()

    messages = parse_chat_request(raw).body.messages
    items = messages.items

    assert [json.loads(raw[items.start(i) : items.end(i)]) for i in range(items.count)] == conversation
    roles = [message["role"] for message in conversation]
    assert [i for i, role in enumerate(roles) if role in ("system", "developer")] == messages.instructions
    assert [i for i, role in enumerate(roles) if role == "developer"] == messages.developers
    assert messages.problem is None


def test_the_spelling_and_the_order_of_a_messages_fields_do_not_matter() -> None:
    message = b'{"\\u0063ontent":"x","role":"robot","\xc3\xa9":[[]],"r\\u006fle":"syst\\u0065m"}'

    assert parse_chat_request(b'{"messages":\n[ ' + message + b"\r\n]}").body.messages.instructions == [0]


def test_the_last_of_repeated_fields_is_the_one_that_is_checked() -> None:
    good, bad = b'[{"role":"user","content":"x"}]', b'[{"role":"robot"}]'

    parse_chat_request(b'{"messages":' + bad + b',"messages":' + good + b"}")
    assert refusal(b'{"messages":' + good + b',"messages":' + bad + b"}").param == "messages[0].role"
    assert refusal(b'{"messages":' + good + b',"mess\\u0061ges":[]}').code == "empty_array"


def test_no_failure_quotes_the_request() -> None:
    marker = "SECRET-PROMPT"
    for fields in (
        {"messages": [{"role": marker, "content": marker}]},
        {"messages": [{"role": "user", "content": [marker]}]},
        {"messages": [{"role": "user", "content": {marker: marker}}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": marker + "\x00", "text": 1}, {"type": [marker]}]}
            ]
        },
        {"messages": marker},
        {"temperature": marker},
        {"model": marker + "\x00"},
    ):
        assert marker not in refusal_of(**fields).message
    assert marker not in refusal(b'{"messages":[{"role":"user","content":"SECRET-PROMPT"').message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
some_messages = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "system", "tool", "robot"]) | json_values,
            "content": json_values,
        },
    ),
    max_size=3,
)


def only_an_invalid_request(raw: bytes) -> None:
    try:
        parse_chat_request(raw)
    except InvalidRequest as error:
        openai_error_body(error).encode()


@settings(max_examples=1500)
@given(
    st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ \n019.e-trumsgau\x00é', max_size=60).map(str.encode)
)
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    only_an_invalid_request(raw)
    only_an_invalid_request(b'{"messages":[{"role":"user","content":"x"}],"model":' + raw + b"}")


@settings(max_examples=500)
@given(
    st.dictionaries(st.sampled_from([*OPTIONAL_FIELDS, "input", "prompt"]), json_values, max_size=5),
    some_messages | json_values,
    st.integers(min_value=0),
)
def test_no_json_raises_anything_else(fields: dict[str, Any], messages: Any, cut: int) -> None:
    raw = json.dumps({**fields, "messages": messages}).encode()

    only_an_invalid_request(raw)
    only_an_invalid_request(raw[: cut % (len(raw) + 1)])
