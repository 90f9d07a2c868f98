"""Reads JSON from any sender.

Nothing is parsed that is nested deeper than MOST_LEVELS: the C scanner calls itself at each level, and on
production's runtime some 3,000 levels exhaust the stack of the whole isolate; Python does not notice it in
time. `parse` takes care of that; whoever scans a text (`json_scan`) asks `nesting_exceeds` first.
"""

import json
from contextlib import suppress
from itertools import accumulate
from typing import Any


class JsonTextError(ValueError):
    """The text is not JSON. The message says what is wrong where (in bytes), and quotes nothing."""


MOST_LEVELS = 500
"""How deep a text may be nested."""


def no_constant(name: str) -> None:
    """What `json` calls for NaN and Infinity. Raises JsonTextError."""
    raise JsonTextError(f"{name} is not allowed in JSON")


SCAN_FAILURES = (ValueError, StopIteration, RecursionError)
"""What the C scanner raises."""
TOO_DEEP = f"it is nested too deeply, in more than {MOST_LEVELS} levels"

_SHORT = 10_000
"""In a text shorter than that, counting is faster than finding."""
_PIECE = 65_536
"""How much of a text is looked at in one go."""
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down, or one up, as a signed byte."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


BYTE_ORDER_MARK = b"\xef\xbb\xbf"

SPACES = " \t\n\r"
"""JSON's white space."""

_strict: Any = json.JSONDecoder(parse_constant=no_constant)
_lenient: Any = json.JSONDecoder()


def parse(text: str | bytes, *, allows_nan: bool = False) -> Any:
    """The value of a whole JSON text; bytes are UTF-8. Raises JsonTextError, also if it is too deep.

    `allows_nan`: NaN and its kin, which are no JSON but are sent all the same, are taken.
    """
    try:
        if isinstance(text, bytes):
            text = text.removeprefix(BYTE_ORDER_MARK).decode()
        if len(text) > MOST_LEVELS and nesting_exceeds(text):
            raise JsonTextError(TOO_DEEP)
        decoder = _lenient if allows_nan else _strict
        stripped = text.strip(SPACES)
        with suppress(*SCAN_FAILURES):
            value, end = decoder.scan_once(stripped, 0)
            if end == len(stripped):
                return value
        return decoder.decode(text)  # says what is wrong where
    except UnicodeDecodeError:
        raise JsonTextError("it is not UTF-8") from None
    except SCAN_FAILURES as failure:
        raise explained(failure) from None


def parse_object(text: str | bytes, *, allows_nan: bool = False) -> dict[str, Any] | None:
    """The object that is a whole JSON text; None for any other text."""
    try:
        value = parse(text, allows_nan=allows_nan)
    except JsonTextError:
        return None
    return value if isinstance(value, dict) else None


def nesting_exceeds(text: str, most_levels: int = MOST_LEVELS) -> bool:
    """Whether arrays and objects are nested deeper than `most_levels`, up to where the text is no JSON.

    Takes time in proportion to the length: a fraction of what reading the text takes.
    """
    return not has_few_brackets(text, most_levels) and _levels(text) > most_levels


def has_few_brackets(text: str, most_levels: int = MOST_LEVELS) -> bool:
    """Whether a text has too few brackets to be nested deeper than `most_levels`."""
    return _count(text, "[", most_levels + 1) + _count(text, "{", most_levels + 1) <= most_levels


def _count(text: str, character: str, most: int) -> int:
    """How often a character occurs, but no more than `most`."""
    if len(text) < _SHORT:
        return min(most, text.count(character))
    position = -1
    for found in range(most):
        position = text.find(character, position + 1)
        if position < 0:
            return found
    return most


def _levels(text: str) -> int:
    """How deep a text is nested.

    Between quotation marks are strings and what is not strings, in turn, once escaped ones are gone. In
    pieces, since what lies between the marks takes more memory than the text.
    """
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    level = deepest = 0
    is_string = False
    for start in range(0, len(text), _PIECE):
        between = text[start : start + _PIECE].split('"')
        outside = "".join(between[int(is_string) :: 2])
        is_string ^= len(between) % 2 == 0
        steps = outside.encode("ascii", "ignore").translate(_STEPS, _NO_BRACKETS)
        levels = [*accumulate(memoryview(steps).cast("b"), initial=level)]
        deepest = max(deepest, *levels)
        level = levels[-1]
    return deepest


def explained(failure: Exception) -> JsonTextError:
    """The JsonTextError for one of SCAN_FAILURES."""
    if isinstance(failure, JsonTextError):
        return failure
    if isinstance(failure, StopIteration):
        return JsonTextError(f"a value is missing at byte {failure.value}")
    if isinstance(failure, json.JSONDecodeError):
        return JsonTextError(f"{failure.msg} at byte {failure.pos}")
    if isinstance(failure, RecursionError):
        return JsonTextError(TOO_DEEP)
    return JsonTextError("a number has too many digits")
