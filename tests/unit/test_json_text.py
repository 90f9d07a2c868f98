import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.json_text import JsonTextError, decoded, scan_items, scan_object, scan_value, skip_spaces

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def latin(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"b":[1,2],"c":"x"}',
        '{ "a" : 1 ,\n\t"b"\r: {} }',
        '{"a\\n":1,"\\u0062":2,"":3}',
        '{"\\"":"}{,:","b":","}',
        "{}",
        "{ }",
    ],
)
def test_members_are_found_with_their_places(text: str) -> None:
    scanned = scan_object(text, 0)

    assert {key: member.value for key, member in scanned.members.items()} == json.loads(text)
    assert scanned.end == len(text)
    for key, member in scanned.members.items():
        assert json.loads(text[member.value_start : member.end]) == member.value
        assert json.loads("{" + text[member.start : member.end] + "}") == {key: member.value}


@given(st.dictionaries(st.text(), json_values, max_size=6), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_any_object_is_scanned_as_json_reads_it(
    value: dict[str, Any], indent: int | str | None, ensure_ascii: bool
) -> None:
    text = latin(json.dumps(value, indent=indent, ensure_ascii=ensure_ascii))

    scanned = scan_object(text, 0)

    assert scanned.end == len(text)
    assert scanned.is_unique
    assert list(scanned.members) == [latin(key) for key in value]
    spans = [text[member.value_start : member.end] for member in scanned.members.values()]
    assert [decoded(span) for span in spans] == list(value.values())


@given(st.lists(json_values, max_size=6), st.sampled_from([None, 2]))
def test_any_array_is_scanned_as_json_reads_it(value: list[Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    items, end = scan_items(text, 0)

    assert end == len(text)
    assert [item for item, _, _ in items] == value
    assert [json.loads(text[start:stop]) for _, start, stop in items] == value


def test_spellings_of_one_key_are_one_and_of_two_are_two() -> None:
    assert not scan_object(latin('{"é":1,"\\u00e9":2}'), 0).is_unique
    assert scan_object(latin('{"é":1,"\\u00c3\\u00a9":2}'), 0).is_unique


def test_the_last_of_repeated_keys_counts() -> None:
    scanned = scan_object('{"a":1,"b":2,"\\u0061":3}', 0)

    assert scanned.members["a"].value == 3
    assert not scanned.is_unique


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1,',
        '{"a":1,}',
        '{,"a":1}',
        '{"a":1 "b":2}',
        '{"a":1{"b\\n":2}',
        '{"a":1,{"b\\n":2}',
        '{"a" 1}',
        '{"a\\n" 1}',
        "{a:1}",
        "{'a':1}",
        '{"a\x00":1}',
        '{"\\x":1}',
        '{"a":"\n"}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":01}',
        '{"a":' + "9" * 5000 + "}",
        '{"a":' * 100_000,
        '{"a":' + "[" * 100_000,
    ],
)
def test_what_is_no_object_is_one_error(text: str) -> None:
    with pytest.raises(JsonTextError):
        scan_object(text, 0)


@pytest.mark.parametrize("text", ["", "1", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[" * 100_000])
def test_what_is_no_array_is_one_error(text: str) -> None:
    with pytest.raises(JsonTextError):
        scan_items(text, 0)


@settings(max_examples=2000)
@given(st.text(alphabet='{}[]",:\\ \n0123456789.eE+-truefalsnI\x00\xe9u', max_size=40))
def test_texts_are_accepted_exactly_when_json_accepts_them(text: str) -> None:
    def no_constant(_: str) -> None:
        raise ValueError

    try:
        expected = json.loads(text, parse_constant=no_constant)
    except ValueError:
        expected = JsonTextError
    start = skip_spaces(text, 0)
    try:
        if text.startswith("{", start):
            scanned = scan_object(text, start)
            value: Any = {key: member.value for key, member in scanned.members.items()}
            end = scanned.end
        elif text.startswith("[", start):
            items, end = scan_items(text, start)
            value = [item for item, _, _ in items]
        else:
            value, end = scan_value(text, start)
        if skip_spaces(text, end) != len(text):
            value = JsonTextError
    except JsonTextError:
        value = JsonTextError

    assert value == expected
