"""Long texts with many brackets: read as json reads them, and refused where they are nested too deeply."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_worker import careful_scan
from qwen_worker.careful_scan import scanner_of
from qwen_worker.json_scan import scan_object, scan_value
from qwen_worker.json_text import JsonTextError

MANY_BRACKETS = "{[" * 300
tricky_texts = st.text(max_size=5) | st.sampled_from(
    ["},{", '},{"role":"user"}]', "{", "[{", "\\", '\\"', "}]", "]},{", MANY_BRACKETS, "x" * 50]
)
values = st.recursive(
    st.none() | st.integers() | tricky_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(tricky_texts, inner, max_size=4),
    max_leaves=25,
)


def scan(text: str) -> dict[str, Any]:
    scanned = scan_object(text, 0, default=scanner_of(text))
    assert scanned.end == len(text)
    return {key: member.value for key, member in scanned.members.items()}


@pytest.fixture(scope="module", autouse=True)
def short_pieces() -> Any:
    """Pieces so short that every text has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(careful_scan, "_PIECE", 40)
        patch.setattr(careful_scan, "_SHORT_PIECE", 20)
        patch.setattr(careful_scan, "_VALUE", 20)
        yield


@settings(max_examples=1000)
@given(
    st.dictionaries(st.text("abc", max_size=3), values, max_size=4), st.sampled_from([None, 1]), st.booleans()
)
def test_any_value_is_read_as_json_reads_it(
    value: dict[str, Any], indent: int | None, is_compact: bool
) -> None:
    value["z"] = MANY_BRACKETS
    separators = (",", ":") if is_compact and indent is None else None

    assert scan(json.dumps(value, indent=indent, separators=separators)) == value


LEVELS = {
    "arrays": ("[", "]"),
    "objects": ('{"a":', "}"),
    "both": ('[{"a":', "}]"),
    "siblings": ("[{},{},", "]"),
}
PLACES = {
    "a value": '{"a":DEEP}',
    "an item": '{"a":[DEEP]}',
    "an item behind others": '{"a":[{},{},{},{"b":1},{"b":2},DEEP]}',
    "behind brackets in strings": '{"a":[{"b":"},{"},{"b":"]}]}"},DEEP]}',
    "the last member": '{"a":[{},{}],"b":{"c":DEEP}}',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_nested_too_deeply_is_refused_wherever_it_is(level: str, place: str) -> None:
    opened, closed = LEVELS[level]
    deep = 3000

    for ending in (closed * deep, ""):
        with pytest.raises(JsonTextError, match="nested too deeply"):
            scan(PLACES[place].replace("DEEP", f"{opened * deep}1{ending}"))


def test_500_levels_are_all_that_is_taken() -> None:
    assert scan(f'{{"a":{"[" * 499}{"]" * 499},"b":"{MANY_BRACKETS}"}}')
    with pytest.raises(JsonTextError, match="500 levels"):
        scan(f'{{"a":{"[" * 500}{"]" * 500},"b":"{MANY_BRACKETS}"}}')


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('[{"b":1},{"b":2} {"b":3}]', "',' or ']' is missing at byte"),
        ('[{"b":1},{"b":2},]', "a value is missing at byte"),
        ('[{"b":1},{"b":NaN}]', "NaN is not allowed"),
        ('{"b":"' + "x" * 100 + '","c":}', "at byte"),
        ('{"b":"' + "x" * 100, "at byte"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_in_the_whole_text(value: str, words: str) -> None:
    text = f'{{"z":"{MANY_BRACKETS}","a":{value}'

    with pytest.raises(JsonTextError, match=words) as error:
        scan(text)
    place = str(error.value).rpartition(" ")[2]
    assert not place.isdigit() or int(place) >= len(text) - len(value)


@pytest.mark.parametrize(
    "style", [{"separators": (",", ":")}, {}, {"indent": 2}], ids=["compact", "spaces", "lines"]
)
def test_a_conversation_is_read_in_pieces_however_it_is_spelled(
    style: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def noted(text: str, position: int) -> tuple[Any, int]:
        lengths.append(len(text))
        return scan_value(text, position)

    monkeypatch.setattr(careful_scan, "scan_value", noted)
    monkeypatch.setattr(careful_scan, "_PIECE", 2_000)
    monkeypatch.setattr(careful_scan, "_SHORT_PIECE", 1_000)
    body = {"messages": [{"role": "user", "content": "if (a) { b[0] },"}] * 600}

    assert scan(json.dumps(body, **style)) == body
    assert max(lengths) < 2_010


def test_boundaries_that_are_none_do_not_make_it_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = json.dumps({"a": [{"b": "},{" * 1_000_000}, {"b": 1}]}, separators=(",", ":"))

    started = time.process_time()
    assert len(scan(text)["a"]) == 2
    assert time.process_time() - started < 1
