"""Reads values of a long text without asking first how deep all of it is nested.

Finding that out takes longer than reading the text: strings are full of brackets when people talk about code.
So a text with many brackets is read in pieces. Most have too few brackets to be nested too deeply, however
they are meant; only of the others the depth is found out.
"""

from typing import Any

from qwen_worker.json_scan import Scanner, scan_array, scan_value, skip_spaces
from qwen_worker.json_text import MOST_LEVELS, TOO_DEEP, JsonTextError, has_few_brackets, nesting_exceeds

_LONG = 524_288
"""A longer text has too many brackets in nearly all cases, so they are not counted."""
_PIECE = 32_768
_SHORT_PIECE = 2_048
_VALUE = 4_096
_GROWTH = 4
_TRIES = 20
_INNER_LEVELS = MOST_LEVELS - 1
"""How deep a member of the text's object may be nested."""


def scanner_of(text: str) -> Scanner:
    """What reads the members' values of an object, which is all of `text`.

    It raises JsonTextError, also for what is nested too deeply.
    """
    is_harmless = len(text) < _LONG and has_few_brackets(text)
    return _scan if is_harmless else _scan_carefully


def _scan(text: str, position: int) -> tuple[Any, int]:
    return (scan_array if text.startswith("[", position) else scan_value)(text, position)


def _scan_carefully(text: str, position: int) -> tuple[Any, int]:
    if text.startswith("[", position):
        return _scan_array(text, position)
    if not text.startswith("{", position):
        return scan_value(text, position)
    size = _VALUE
    while position + size < len(text):
        piece = text[position : position + size]
        _refuse_if_deep(piece)
        try:
            value, end = scan_value(piece, 0)
        except JsonTextError:
            size *= _GROWTH
        else:
            return value, position + end
    _refuse_if_deep(text[position:])
    return scan_value(text, position)


def _scan_array(text: str, position: int) -> tuple[list[Any], int]:
    """Reads some items at a time, up to what looks like the end of an object.

    If it was none (but in a string, say), the piece is no array, and a longer one is tried.
    """
    items: list[Any] = []
    start, size, least = position + 1, _PIECE, _SHORT_PIECE
    while True:
        end = start + size
        is_rest = end >= len(text)
        cut, next_start = (-1, -1) if is_rest else _cut(text, start, end)
        piece = f"[{text[start:end]}" if cut < 0 else f"[{text[start:cut]}]"
        is_harmless = has_few_brackets(piece, _INNER_LEVELS)
        if not is_harmless and size > least:
            size //= 2
            continue
        if not is_harmless:
            _refuse_if_deep(piece)
        try:
            some, length = scan_value(piece, 0)
        except JsonTextError:
            if is_rest:
                return scan_array(text, position)  # says what is wrong where
            size = least = size * _GROWTH
            continue
        items += some
        if cut < 0 or length < len(piece):
            return items, start - 1 + length
        start, least = next_start, _SHORT_PIECE


def _cut(text: str, start: int, end: int) -> tuple[int, int]:
    """The last place within `text[start:end]` that looks like the end of an object, and where another one
    starts behind it; (-1, -1) if there is none near the end.
    """
    comma = end
    for _ in range(_TRIES):
        comma = text.rfind("},", start, comma) + 1
        if not comma:
            break
        next_start = skip_spaces(text, comma + 1)
        if text.startswith("{", next_start):
            return comma, next_start
    return -1, -1


def _refuse_if_deep(piece: str) -> None:
    """Raises JsonTextError for a piece that is nested too deeply."""
    if nesting_exceeds(piece, _INNER_LEVELS):
        raise JsonTextError(TOO_DEEP)
