import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker.json_scan import (
    Items,
    TooManyMembers,
    decoded,
    object_text,
    scan_array,
    scan_object,
    scan_value,
    skip_spaces,
)
from qwen_worker.json_text import JsonTextError

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

    assert scan_array(text, 0) == (value, len(text))


spaces = st.text(alphabet=" \t\n\r", max_size=2)
tricky_texts = st.text(max_size=5) | st.sampled_from(
    ["{", "{{", '{"role"', '},{"role":"user"}]', "\\", '\\"', "}]", ":{", ",", ":", "\u00e9\U0001f642"]
)
keys = st.sampled_from(["role", "content", "{", "", '"', "\u00e9"]) | tricky_texts
tricky_values = st.recursive(
    st.none() | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False) | tricky_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spelled_objects(draw: st.DrawFn) -> str:
    """An object in any spelling: keys with or without escapes, also repeated ones, white space anywhere."""
    members = draw(st.lists(st.tuples(keys, tricky_values), max_size=4))
    ensure_ascii, is_compact = draw(st.booleans()), draw(st.booleans())

    def spell(value: Any) -> str:
        separators = (",", ":") if is_compact else None
        return json.dumps(value, ensure_ascii=ensure_ascii, separators=separators)

    def key_text(key: str) -> str:
        if key.isalpha() and key.isascii() and draw(st.integers(0, 4)) == 0:
            return f'"\\u{ord(key[0]):04x}{key[1:]}"'
        return spell(key)

    def space() -> str:
        return "" if is_compact else draw(spaces)

    spelled = [
        f"{space()}{key_text(key)}{space()}:{space()}{spell(value)}{space()}" for key, value in members
    ]
    return "{" + (",".join(spelled) or space()) + "}"


@st.composite
def spelled_arrays(draw: st.DrawFn) -> tuple[str, int, list[tuple[int, int]]]:
    """A text with an array in it, where that starts, and (start, end) of each of its items."""
    is_compact = draw(st.booleans())
    spelled = draw(st.lists(spelled_objects(), min_size=1, max_size=5))
    text = draw(st.sampled_from(["", '{"messages":', '{"role":"user","messages": ']))
    array_start = len(text)
    places: list[tuple[int, int]] = []
    for index, item in enumerate(spelled):
        text += "," if index else "["
        text += "" if is_compact else draw(spaces)
        places.append((len(latin(text)), len(latin(text + item))))
        text += item + ("" if is_compact else draw(spaces))
    return latin(text + "]" + draw(st.sampled_from(["", "}", ',"role":{"role":"}]"}}']))), array_start, places


@settings(max_examples=600)
@given(spelled_arrays(), st.data())
def test_items_are_found_where_they_were_put_in_whatever_order_they_are_asked_for(
    spelled: tuple[str, int, list[tuple[int, int]]], data: st.DataObject
) -> None:
    text, position, places = spelled
    values, end = scan_array(text, position)
    items = Items(text, position, end, values)
    assert items.count == len(places)

    asked = st.tuples(st.integers(0, len(places) - 1), st.sampled_from(["start", "end", "object"]))
    for index, what in [*data.draw(st.lists(asked, max_size=8)), (len(places) - 1, "object")]:
        if what == "object":
            start, stop = places[index]
            assert items.scan_object(index) == scan_object(text, start)
            assert items.scan_object(index).end == stop
        else:
            assert getattr(items, what)(index) == places[index][what == "end"]


def scans_counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions at which a value is scanned from now on."""
    positions: list[int] = []

    def scan(text: str, position: int) -> tuple[Any, int]:
        positions.append(position)
        return scan_value(text, position)

    monkeypatch.setattr("qwen_worker.json_scan.scan_value", scan)
    return positions


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(
    "last",
    [
        {"role": "user", "content": "What is {"},
        {"content": "x", "role": "user"},
        {"tool_call_id": "c", "role": "tool", "content": [{"type": "text", "text": '{"role": 1},{'}]},
    ],
)
def test_the_last_item_is_found_without_a_walk_over_the_others(
    last: dict[str, Any], separators: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps([{"role": "user", "content": "x"}] * 100 + [last], separators=separators)
    values, end = scan_array(text, 0)
    items = Items(text, 0, end, values)
    scanned = scans_counted(monkeypatch)

    members = items.scan_object(100).members

    assert {name: member.value for name, member in members.items()} == last
    assert scanned == []


def test_an_array_without_items_has_none() -> None:
    values, end = scan_array("[ ]", 0)

    assert Items("[ ]", 0, end, values).count == 0


def test_an_item_that_is_no_object_is_an_error() -> None:
    for text in ("[1]", '[{}, "{"]', "[{},[{}]]", "[[{}],{},[{}]]"):
        values, end = scan_array(text, 0)
        with pytest.raises(JsonTextError):
            Items(text, 0, end, values).scan_object(len(values) - 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1 2]", "',' or ']' is missing at byte 2"),
        ("[1,]", "a value is missing at byte 3"),
        ('[{"a":1},', "a value is missing at byte 9"),
        ("[{}", "',' or ']' is missing at byte 3"),
        ("{}", "',' or ']' is missing at byte 0"),
        ("[" * 100_000, "it is nested too deeply, in more than 500 levels"),
        ("[1," + "9" * 5000 + "]", "a number has too many digits"),
        ("[{},NaN]", "NaN is not allowed in JSON"),
    ],
)
def test_what_is_wrong_with_an_array_is_said_in_our_words(text: str, words: str) -> None:
    with pytest.raises(JsonTextError, match=f"^{re.escape(words)}$"):
        scan_array(text, 0)


def test_an_object_may_have_a_thousand_members_and_no_more() -> None:
    members = [f'"{number}":0' for number in range(1000)]

    assert len(scan_object(object_text(members), 0).members) == 1000
    with pytest.raises(TooManyMembers, match="more than 1,000 fields"):
        scan_object(object_text([*members, '"x":0']), 0)
    assert scan_value(object_text([*members, '"x":0']), 0)[0]["x"] == 0, "values may have any number"


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
        scan_array(text, 0)


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
            value, end = scan_array(text, start)
        else:
            value, end = scan_value(text, start)
        if skip_spaces(text, end) != len(text):
            value = JsonTextError
    except JsonTextError:
        value = JsonTextError

    assert value == expected
