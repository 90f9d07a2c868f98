r"""Where things are in a JSON text: an object's members with their positions, so that one can be replaced.

Changing one field of a body by parsing and re-serialising it costs more than everything else we do with a
request, and it is not lossless: `1e400`, `1.0`, `\ud800` and repeated keys do not survive. So a text is
scanned with the C scanner of `json`, the positions are kept, and a change splices the text.

Texts are UTF-8 bytes decoded as Latin-1: positions count bytes, decoding and encoding are plain copies, and
ASCII (every key and value that we look at) reads as it is. A scanned string with other characters is *not* to
be used; `decoded` reads it again.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Scanner = Callable[[str, int], tuple[Any, int]]
"""Reads the value that starts at a position: the value, and the position after it."""


class JsonTextError(ValueError):
    """The text is not JSON. The message says what is wrong where (in bytes), and quotes nothing."""


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


def _no_constant(name: str) -> None:
    raise JsonTextError(f"{name} is not allowed in JSON")


_decoder: Any = json.JSONDecoder(parse_constant=_no_constant)
_scan_value: Scanner = _decoder.scan_once

_SPACE = r"[ \t\n\r]*"
_KEY = rf'"([^"\\\x00-\x1f]*)"{_SPACE}:{_SPACE}'
_first_key = re.compile(rf"\{{{_SPACE}(?:{_KEY}|(\}}))").match
_next_key = re.compile(rf"{_SPACE}(?:,{_SPACE}{_KEY}|(\}}))").match
_before_first_key = re.compile(rf'\{{{_SPACE}(?=")').match
_before_next_key = re.compile(rf'{_SPACE},{_SPACE}(?=")').match
_colon = re.compile(rf"{_SPACE}:{_SPACE}").match
_first_item = re.compile(rf"\[{_SPACE}(\])?").match
_next_item = re.compile(rf"{_SPACE}(?:,{_SPACE}|(\]))").match
_spaces = re.compile(_SPACE).match


def _reporting(scan: Callable[P, T]) -> Callable[P, T]:
    """Turns whatever the C scanner raises into a JsonTextError; once around a scan, not around each value."""

    def reporting(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return scan(*args, **kwargs)
        except JsonTextError:
            raise
        except StopIteration as stop:
            raise JsonTextError(f"a value is missing at byte {stop.value}") from None
        except json.JSONDecodeError as error:
            raise JsonTextError(f"{error.msg} at byte {error.pos}") from None
        except RecursionError:
            raise JsonTextError("it is nested too deeply") from None
        except ValueError:
            raise JsonTextError("a number has too many digits") from None

    return reporting


@_reporting
def scan_value(text: str, position: int) -> tuple[Any, int]:
    """The value that starts at `position`, and the position after it. Raises JsonTextError."""
    return _scan_value(text, position)


@_reporting
def scan_object(
    text: str,
    position: int,
    scanners: Mapping[str, Scanner] | None = None,
    default: Scanner = _scan_value,
) -> ObjectText:
    """The members of the object whose `{` is at `position`; `scanners` reads the values of certain keys.

    Raises JsonTextError, also if there is no object.
    """
    members: dict[str, Member] = {}
    count = 0
    match = _first_key(text, position)
    while True:
        if match is None:
            start, key, value_start = _unusual_key(text, position, is_first=not members)
        elif match.group(2):
            return ObjectText(members, match.end(), len(members) == count)
        else:
            key = match.group(1)
            start = match.start(1) - 1
            value_start = match.end()
        scan = default if scanners is None else scanners.get(key, default)
        value, position = scan(text, value_start)
        members[key] = Member(value, start, value_start, position)
        count += 1
        match = _next_key(text, position)


@_reporting
def scan_items(
    text: str, position: int, scan: Scanner = _scan_value
) -> tuple[list[tuple[Any, int, int]], int]:
    """The items of the array whose `[` is at `position` as (value, start, end), and the array's end.

    Raises JsonTextError, also if there is no array.
    """
    items: list[tuple[Any, int, int]] = []
    match = _first_item(text, position)
    while match is not None:
        if match.group(1):
            return items, match.end()
        start = match.end()
        value, position = scan(text, start)
        items.append((value, start, position))
        match = _next_item(text, position)
    raise JsonTextError(f"',' or ']' is missing at byte {position}")


def skip_spaces(text: str, position: int) -> int:
    """The position of the next character that is not JSON's white space."""
    match = _spaces(text, position)
    return match.end() if match else position


def decoded(text: str) -> Any:
    """The value of a JSON text (as Latin-1, see above) with its characters in order."""
    return json.loads(text.encode("latin-1"))


def object_text(members: list[str]) -> str:
    """An object of members that are already spelled."""
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
