r"""Where things are in a JSON text: an object's members with their positions, so that one can be replaced.

Changing one field of a body by parsing and re-serialising it costs more than everything else we do with a
request, and it is not lossless: `1e400`, `1.0`, `\ud800` and repeated keys do not survive. So a text is
scanned with the C scanner of `json`, the positions are kept, and a change splices the text.

Texts are UTF-8 bytes decoded as Latin-1: positions count bytes, decoding and encoding are plain copies, and
ASCII (every key and value that we look at) reads as it is. A scanned string with other characters is *not* to
be used; `decoded` reads it again.

The scanners that are given to `scan_object` see to it that nothing is nested too deeply (`careful_scan`).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from qwen_worker.json_text import SCAN_FAILURES, SPACES, JsonTextError, explained, no_constant

Scanner = Callable[[str, int], tuple[Any, int]]
"""Reads the value that starts at a position: the value, and the position after it."""


class TooManyMembers(JsonTextError):
    """An object has more than MOST_MEMBERS members."""


MOST_MEMBERS = 1_000
"""How many members `scan_object` takes; each costs a thousand times as much as in the C scanner."""


class Member(NamedTuple):
    """A member of an object. `text[start:end]` is the whole member, `text[value_start:end]` its value."""

    value: Any
    start: int
    value_start: int
    end: int


class ObjectText(NamedTuple):
    """A scanned object. Of a repeated key the last member counts, as in JSON parsers; then `is_unique` is
    False.
    """

    members: dict[str, Member]
    end: int
    is_unique: bool


_decoder: Any = json.JSONDecoder(parse_constant=no_constant)
_scan_value: Scanner = _decoder.scan_once

_SPACE = rf"[{SPACES}]*"
_KEY = rf'"([^"\\\x00-\x1f]*)"{_SPACE}:{_SPACE}'
_first_key = re.compile(rf"\{{{_SPACE}(?:{_KEY}|\}})").match
_next_key = re.compile(rf"{_SPACE}(?:,{_SPACE}{_KEY}|\}})").match
_before_first_key = re.compile(rf'\{{{_SPACE}(?=")').match
_before_next_key = re.compile(rf'{_SPACE},{_SPACE}(?=")').match
_colon = re.compile(rf"{_SPACE}:{_SPACE}").match
_first_item = re.compile(rf"\[{_SPACE}(\])?").match
_next_item = re.compile(rf"{_SPACE}(?:,{_SPACE}|(\]))").match
_spaces = re.compile(_SPACE).match
_new_tuple = tuple.__new__
"""Makes a NamedTuple faster than its constructor, which is a Python function."""


def scan_value(text: str, position: int) -> tuple[Any, int]:
    """The value that starts at `position`, and the position after it. Raises JsonTextError."""
    try:
        return _scan_value(text, position)
    except SCAN_FAILURES as failure:
        raise explained(failure) from None


def scan_object(
    text: str,
    position: int,
    scanners: Mapping[str, Scanner] | None = None,
    default: Scanner = _scan_value,
) -> ObjectText:
    """The members of the object whose `{` is at `position`; `scanners` reads the values of certain keys.

    Raises JsonTextError, also if there is no object; TooManyMembers.
    """
    members: dict[str, Member] = {}
    count = 0
    try:
        match = _first_key(text, position)
        while True:
            if match is None:
                start, key, value_start = _unusual_key(text, position, is_first=not members)
            else:
                key = match[1]
                if key is None:
                    return ObjectText(members, match.end(), len(members) == count)
                start = match.start(1) - 1
                value_start = match.end()
            scan = default if scanners is None else scanners.get(key, default)
            value, position = scan(text, value_start)
            members[key] = _new_tuple(Member, (value, start, value_start, position))
            count += 1
            if count > MOST_MEMBERS:
                raise TooManyMembers(f"an object has more than {MOST_MEMBERS:,} fields")
            match = _next_key(text, position)
    except SCAN_FAILURES as failure:
        raise explained(failure) from None


def scan_array(text: str, position: int) -> tuple[list[Any], int]:
    """The array whose `[` is at `position`, and the position after it.

    Raises JsonTextError, also if there is no array.
    """
    if text.startswith("[", position):
        try:
            return _scan_value(text, position)
        except SCAN_FAILURES:
            # Read item by item, a broken array gives the same message on every version of Python.
            pass
    return _scan_items(text, position)


class Items:
    """The places of the items of an array, found when they are asked for: most requests need one or two.

    The items are numbered from 0.
    """

    __slots__ = ("_end", "_ends", "_last_key", "_position", "_starts", "_text", "count")

    def __init__(self, text: str, position: int, end: int, values: list[Any]) -> None:
        """For the array `text[position:end]`, read as `values`, which are not kept."""
        self.count = len(values)
        self._text = text
        self._position = position
        self._end = end
        self._starts: list[int] = []
        self._ends: list[int] = []
        last = values[-1] if values else None
        self._last_key = next(iter(last), None) if isinstance(last, dict) else None

    def start(self, index: int) -> int:
        """Where an item starts."""
        starts = self._starts
        if not starts:
            starts.append(_end_of(_first_item(self._text, self._position)))
        while len(starts) <= index:
            starts.append(_end_of(_next_item(self._text, self.end(len(starts) - 1))))
        return starts[index]

    def end(self, index: int) -> int:
        """The position after an item."""
        ends = self._ends
        while len(ends) <= index:
            ends.append(scan_value(self._text, self.start(len(ends)))[1])
        return ends[index]

    def scan_object(self, index: int) -> ObjectText:
        """Scans an item that is an object. Raises JsonTextError, also if it is none."""
        if 0 < index == self.count - 1:
            last = self._scan_last_object()
            if last is not None:
                return last
        scanned = scan_object(self._text, self.start(index))
        if index == len(self._ends):
            self._ends.append(scanned.end)
        return scanned

    def _scan_last_object(self) -> ObjectText | None:
        """The last item, found from the end without a walk over all others; None if it cannot be found so.

        Tries each `{` from the end. Only the item's own `{` starts an object that ends where the item ends:
        an inner object ends earlier, and a scan from a `{` within a string ends within a string.
        """
        text, end = self._text, self._end - 1
        if self._last_key is None or text[end - 1] != "}":
            return None
        start = text.rfind(f'{{"{self._last_key}"', self._position, end)
        try:
            scanned = scan_object(text, start) if start >= 0 else None
        except JsonTextError:
            return None
        return scanned if scanned is not None and scanned.end == end else None


def skip_spaces(text: str, position: int) -> int:
    """The position of the next character that is not JSON's white space."""
    if text[position : position + 1] not in SPACES:
        return position
    match = _spaces(text, position)
    return match.end() if match else position


def decoded(text: str) -> Any:
    """The value of a part of a scanned text (as Latin-1, see above) with its characters in order."""
    return json.loads(text.encode("latin-1"))


def object_text(members: list[str]) -> str:
    """The JSON text of an object, from members that are JSON text already."""
    return "{" + ",".join(members) + "}"


def _unusual_key(text: str, position: int, *, is_first: bool) -> tuple[int, str, int]:
    """A key with escapes in it: (start, key, value_start). Raises JsonTextError if there is no key."""
    before = (_before_first_key if is_first else _before_next_key)(text, position)
    if before is None:
        raise JsonTextError(f"',' or '}}' or a key is missing at byte {position}")
    start = before.end()
    _, end = _scan_value(text, start)
    colon = _colon(text, end)
    if colon is None:
        raise JsonTextError(f"':' is missing at byte {end}")
    # As the key would read without escapes, so that two spellings of one key are one.
    key = decoded(text[start:end]).encode("utf-8", "surrogatepass").decode("latin-1")
    return start, key, colon.end()


def _scan_items(text: str, position: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    match = _first_item(text, position)
    while match is not None:
        if match.group(1):
            return items, match.end()
        value, position = scan_value(text, match.end())
        items.append(value)
        match = _next_item(text, position)
    raise JsonTextError(f"',' or ']' is missing at byte {position}")


def _end_of(match: re.Match[str] | None) -> int:
    if match is None:
        raise JsonTextError("there is no array")
    return match.end()
