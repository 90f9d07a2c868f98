"""What is read as JSON, and what is refused before it is read."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.json_text import JsonTextError, nesting_exceeds, parse

TRICKY = st.text(alphabet='ab\\"[]{}:, \n\u00e9\U0001f642', max_size=8)
nested_values = st.recursive(
    st.none() | st.integers() | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TRICKY, inner, max_size=4),
    max_leaves=12,
)


def levels(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(levels, value.values() if isinstance(value, dict) else value), default=0)


@settings(max_examples=1000)
@given(nested_values, st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["", "[]{}" * 4000]))
def test_the_levels_are_counted_whatever_strings_and_spaces_hold(
    value: Any, ensure_ascii: bool, indent: int | None, more: str
) -> None:
    text = json.dumps([value, more], ensure_ascii=ensure_ascii, indent=indent)
    depth = levels([value, more])

    assert not nesting_exceeds(text, depth)
    assert nesting_exceeds(text, depth - 1)


@pytest.mark.parametrize(
    "level",
    [
        "[",
        "[ ",
        "[1,",
        "[[],",
        '[{"a":"]"},',
        '["]\\\\\\\\\\\\\\"",',
        '{"a":',
        '{ "}" :\n',
        '{"a":"\\\\","b":',
    ],
)
def test_500_levels_of_any_kind_are_all_that_is_taken(level: str) -> None:
    for padding in ("", " " * 20_000, '"' + "x[{" * 7000 + '",'):
        text = f"[{padding}{level * 498}["
        assert not nesting_exceeds(text)
        assert nesting_exceeds(f"{text}[")


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 1_000_000,
        '"' + '\\"' * 1_000_000 + '\\\\\\\\\\"',
        '"' + "\\" * 2_000_000,
        '["' + '\\\\\\\\\\\\",["' * 200_000,
        "          [" * 200_000,
        "[[]," * 500_000,
        '{"":{},' * 300_000,
    ],
)
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    started = time.process_time()

    nesting_exceeds("[{" * 300 + text + "[" * 600)

    assert time.process_time() - started < 5


def test_a_conversation_of_many_messages_is_flat() -> None:
    messages = [{"role": "user", "content": "for (i = [0]; ; ) { x[i] = {}; } [[[["}] * 5000

    assert not nesting_exceeds(json.dumps({"messages": messages}), 3)
    assert nesting_exceeds(json.dumps({"messages": messages}), 2)


@given(nested_values, st.booleans())
def test_parsing_gives_what_json_gives(value: Any, ensure_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii)

    assert parse(text) == value
    assert parse(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value at byte 0"),
        ("{} x", "Extra data at byte 3"),
        (b'{"a":\xff}', "it is not UTF-8"),
        ('{"a":NaN}', "NaN is not allowed in JSON"),
        ("9" * 5000, "a number has too many digits"),
        ("[" * 100_000, "it is nested too deeply, in more than 500 levels"),
        ("[" * 501 + "]" * 501, "it is nested too deeply, in more than 500 levels"),
        ('{"a":' * 501 + "1" + "}" * 501, "it is nested too deeply, in more than 500 levels"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(text: str | bytes, words: str) -> None:
    with pytest.raises(JsonTextError) as wrong:
        parse(text)
    assert str(wrong.value) == words
