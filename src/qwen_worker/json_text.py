"""Reading JSON of whoever sent it.

Nothing is parsed that is nested deeper than MOST_LEVELS: the C scanner calls itself at each level, and on
production's runtime some 3,000 levels exhaust the stack of the whole isolate; Python does not notice it in
time. `parse` takes care of that; whoever scans a text (`json_scan`) asks `nesting_exceeds` first.
"""

import json
import re
from itertools import accumulate
from typing import Any


class JsonTextError(ValueError):
    """The text is not JSON. The message says what is wrong where (in bytes), and quotes nothing."""


MOST_LEVELS = 500
"""How deep a text may be nested."""


def no_constant(name: str) -> None:
    """What `json` is to call for NaN and its kin. Raises JsonTextError."""
    raise JsonTextError(f"{name} is not allowed in JSON")


SCAN_FAILURES = (ValueError, StopIteration, RecursionError)
"""What the C scanner raises."""
TOO_DEEP = f"it is nested too deeply, in more than {MOST_LEVELS} levels"

_STRING = r'"[^"]*+(?:(?:(?<=(?<!\\)\\)|(?<=(?<!\\)\\\\\\))"[^"]*+)*+(?:"|\Z)'
"""A string without a quote behind more than four backslashes. Goes from quote to quote, three times as fast
as from backslash to backslash.
"""
_ANY_STRING = r'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_SHORT = 10_000
"""In a text shorter than that, counting is faster than finding."""
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down, or one up, as a signed byte."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_decode = json.JSONDecoder(parse_constant=no_constant).decode
_decode_leniently = json.JSONDecoder().decode


def parse(text: str | bytes, *, allows_nan: bool = False) -> Any:
    """The value of a whole JSON text; bytes are UTF-8. Raises JsonTextError, also if it is too deep.

    `allows_nan`: NaN and its kin, which are no JSON but are sent all the same, are taken.
    """
    try:
        if isinstance(text, bytes):
            text = text.removeprefix(BYTE_ORDER_MARK).decode()
        if len(text) > MOST_LEVELS and nesting_exceeds(text):
            raise JsonTextError(TOO_DEEP)
        return (_decode_leniently if allows_nan else _decode)(text)
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

    Takes time in proportion to the length. Most texts are seen to be flat by their few brackets, in a
    fraction of the time that it takes to read them; one full of brackets takes as long as reading it.
    """
    arrays = _count(text, "[", most_levels + 1)
    if arrays + _count(text, "{", most_levels + 1 - arrays) <= most_levels:
        return False
    most_brackets = most_levels + len(text) // 500
    arrays = _count_behind(text, "[", ":,[", most_brackets)
    # On the way to the deepest level each array holds one thing, so each object is in one of these arrays,
    # or in an object.
    if 1 + 2 * arrays <= most_levels:
        objects = _count_behind(text, "{", ":", most_brackets)
        if 1 + 2 * arrays + objects <= most_levels:
            return False
    return _levels(text) > most_levels


def _count(text: str, character: str, most: int) -> int:
    """How often a character occurs, but not more than `most`."""
    if len(text) < _SHORT:
        return min(most, text.count(character))
    position = -1
    for found in range(most):
        position = text.find(character, position + 1)
        if position < 0:
            return found
    return most


def _count_behind(text: str, bracket: str, before: str, most: int) -> int:
    """How often a bracket occurs that may begin a value behind one of the characters `before`; the others are
    within strings. `most` if there are so many brackets that it had better be found out otherwise.
    """
    count = 0
    position = -1
    for _ in range(most):
        position = text.find(bracket, position + 1)
        if position < 0:
            return count
        # Behind many spaces, or nothing, it counts too.
        if text[max(0, position - 8) : position].rstrip(" \t\n\r")[-1:] in before:
            count += 1
    return most


def _levels(text: str) -> int:
    """How deep a text is nested."""
    outside = re.sub(_ANY_STRING if r"\\\\\"" in text else _STRING, "", text)
    steps = outside.encode("ascii", "ignore").translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def explained(failure: Exception) -> JsonTextError:
    """One of SCAN_FAILURES in our words."""
    if isinstance(failure, JsonTextError):
        return failure
    if isinstance(failure, StopIteration):
        return JsonTextError(f"a value is missing at byte {failure.value}")
    if isinstance(failure, json.JSONDecodeError):
        return JsonTextError(f"{failure.msg} at byte {failure.pos}")
    if isinstance(failure, RecursionError):
        return JsonTextError(TOO_DEEP)
    return JsonTextError("a number has too many digits")
