"""Scanning a text that is full of brackets, and so perhaps nested too deeply, in little more than the time
that scanning takes.

A piece of a text that has few brackets can be scanned, whatever it is. So an array of objects (a
conversation) is cut at what looks like the end of an object, and scanned piece by piece. Where a piece turns
out to be no list of objects, and for any other value, `nesting_exceeds` looks at the brackets one by one.
"""

import re
from typing import Any

from qwen_worker.json_scan import scan_array, scan_value
from qwen_worker.json_text import MOST_LEVELS, TOO_DEEP, JsonTextError, count_brackets, nesting_exceeds

_FIRST_SIZE = 32_768
_LARGEST_SIZE = 131_072
_SMALLEST_SIZE = 2_048
_FEW_BRACKETS = MOST_LEVELS - 50
"""So few that a piece cannot be too deep, wherever it is."""

_start = re.compile(r'\[[ \t\r\n]*(\{"[a-z_]+"):( ?)').match
"""The first key, and whether a space follows a colon: then one follows a comma too."""


def scan_guarded(text: str, position: int) -> tuple[Any, int]:
    """As `scan_value`, for a value of the outermost object; raises JsonTextError if it is too deep."""
    if not text.startswith(("[", "{"), position):
        return scan_value(text, position)
    size = _FIRST_SIZE
    while position + size < len(text):
        piece = text[position : position + size]
        _check(piece)
        try:
            value, end = scan_value(piece, 0)
        except JsonTextError:
            size *= 8
        else:
            return value, position + end
    _check(text[position:])
    return scan_value(text, position)


def scan_array_guarded(text: str, position: int) -> tuple[list[Any], int]:
    """As `scan_array`, for a value of the outermost object; raises JsonTextError if it is too deep."""
    start = _start(text, position)
    if start is not None:
        first_key, space = start.groups()
        values, end = _scan_pieces(text, start.start(1), f"}},{space}", first_key)
        try:
            last_values, length = scan_guarded(f"[{text[end:]}", 0)
        except JsonTextError:
            pass  # what is wrong is said below, with its place in the whole text
        else:
            return values + last_values, end + length - 1
    _check(text[position:])
    return scan_array(text, position)


def _scan_pieces(text: str, position: int, separator: str, first_key: str) -> tuple[list[Any], int]:
    """The objects from `position` on, as long as they can be told apart, and the position after them."""
    values: list[Any] = []
    boundary = separator + first_key
    size = _FIRST_SIZE
    while True:
        cut = text.rfind(boundary, position, position + size)
        is_long = cut < 0
        if is_long:
            cut = text.find(boundary, position)
            if cut < 0:
                return values, position
        brackets = count_brackets(text, position, cut, _FEW_BRACKETS + 1)
        if brackets > _FEW_BRACKETS and not is_long and size > _SMALLEST_SIZE:
            size //= 4
            continue
        piece = f"[{text[position : cut + 1]}]"
        try:
            if brackets > _FEW_BRACKETS:
                _check(piece)
            objects, end = scan_value(piece, 0)
        except JsonTextError:
            return values, position
        if end != len(piece):
            return values, position
        values += objects
        position = cut + len(separator)
        if brackets < _FEW_BRACKETS // 4:
            size = min(2 * size, _LARGEST_SIZE)


def _check(value: str) -> None:
    """Raises JsonTextError if a value of the outermost object is nested too deeply."""
    if nesting_exceeds(value, MOST_LEVELS - 1):
        raise JsonTextError(TOO_DEEP)
