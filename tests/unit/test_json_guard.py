"""Scanning what is full of brackets: the same values in the same places, unless it is too deep."""

import json
import random
from typing import Any

import pytest

from qwen_worker.json_guard import scan_array_guarded, scan_guarded
from qwen_worker.json_scan import Scanner, scan_array, scan_value
from qwen_worker.json_text import JsonTextError

SPELLINGS: tuple[dict[str, Any], ...] = (
    {},
    {"separators": (",", ":")},
    {"indent": 1},
    {"separators": (", ", ":"), "ensure_ascii": False},
)


def outcome(scan: Scanner, text: str, position: int) -> Any:
    try:
        return scan(text, position)
    except JsonTextError as error:
        return str(error)


def some_text(rng: random.Random) -> str:
    return "".join(rng.choices('ab\\"[]{}, :é\n', k=rng.choice([3, 30, 300, 3000])))


def some_message(rng: random.Random) -> dict[str, Any]:
    more: list[Any] = [
        some_text(rng),
        [{"role": some_text(rng)}, {"role": "},{"}],
        {"a": [[]] * rng.randrange(600)},
    ]
    return {"role": some_text(rng), rng.choice(["content", "role"]): rng.choice(more)}


@pytest.mark.parametrize("seed", range(80))
def test_arrays_are_scanned_as_ever_whole_or_broken(seed: int) -> None:
    rng = random.Random(seed)
    messages = [some_message(rng) for _ in range(rng.randrange(1, 60))]
    array = json.dumps(messages, **rng.choice(SPELLINGS))
    text = f'{{"messages": {array} ,"x":["{"]}{" * rng.randrange(3)}",1]}}'
    start = text.index("[")
    broken_at = rng.randrange(start + 1, len(text))
    broken = text[:broken_at] + rng.choice('{}[],"x') + text[broken_at + 1 :]

    assert scan_array_guarded(text, start) == (messages, start + len(array))
    assert scan_guarded(text, start) == (messages, start + len(array))
    assert outcome(scan_array_guarded, broken, start) == outcome(scan_array, broken, start)
    assert outcome(scan_guarded, broken, start) == outcome(scan_value, broken, start)


@pytest.mark.parametrize("before", [0, 100, 3000])
@pytest.mark.parametrize("after", [0, 100])
@pytest.mark.parametrize("scan", [scan_guarded, scan_array_guarded])
def test_what_is_too_deep_is_refused_wherever_it_is(scan: Scanner, before: int, after: int) -> None:
    message = json.dumps({"role": "user", "content": "[{" * 10})

    def conversation(levels: int) -> str:
        deep = f'{{"role": "user", "x": {"[" * levels}{"]" * levels}}}'
        return f"[{', '.join([message] * before + [deep] + [message] * after)}]"

    fits, exceeds = conversation(497), conversation(498)
    assert scan(fits, 0)[1] == len(fits)
    with pytest.raises(JsonTextError, match="too deeply"):
        scan(exceeds, 0)


@pytest.mark.parametrize("text", ["1", '"[{"', "null", "", "[", "{", "[1,", "[[]", '{"a":[]'])
def test_what_is_short_is_scanned_as_ever(text: str) -> None:
    assert outcome(scan_guarded, text, 0) == outcome(scan_value, text, 0)
