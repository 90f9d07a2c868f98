r"""Reads a `.dev.vars` file as wrangler does: `NAME=value` lines, values optionally quoted.

Single quotes and backquotes keep a value as it is, double quotes turn `\n` into a line feed, and a quoted
value may span lines or begin on the next one. Without quotes a value ends at `#` or at the end of the line.
Wrangler reads UTF-8 only; `make dev` gives it a copy of a file that an editor has saved as UTF-16.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

_ASSIGNMENT = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z0-9_.-]+)(?:[^\S\n]*=|:(?=\s))[^\S\n]*")
_REST_OF_LINE = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_QUOTED = re.compile(
    r"""\s*(?:'(?P<single>(?:\\'|[^'])*)'|"(?P<double>(?:\\"|[^"])*)"|`(?P<back>(?:\\`|[^`])*)`)"""
)
_PAIR = re.compile(r"""(['"`])(.*)\1""", re.DOTALL)


class DevVars(NamedTuple):
    """What the file holds. `stray_lines` are the numbers of lines that are no assignment, a comment or blank.

    `repeated` are names that are assigned more than once: the last one counts. `cut` are names whose value
    is cut at a `#` in the middle of a word.
    """

    values: dict[str, str]
    stray_lines: tuple[int, ...]
    repeated: tuple[str, ...]
    cut: tuple[str, ...]


def decode_text(data: bytes) -> str:
    """The text of a file in UTF-8 or UTF-16, without byte order mark. Raises UnicodeError."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:2]:
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    return data.decode("utf-8-sig")


def parse_dev_vars(text: str) -> DevVars:
    """Reads the text of a `.dev.vars` file. Never raises."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    stray: list[int] = []
    repeated: list[str] = []
    cut: list[str] = []
    position = 0
    while position < len(text):
        line_number = text.count("\n", 0, position) + 1
        blank = _REST_OF_LINE.match(text, position)
        if blank is not None:
            position = blank.end()
            continue
        assignment = _ASSIGNMENT.match(text, position)
        if assignment is None:
            stray.append(line_number)
            position = _end_of_line(text, position)
            continue
        name = assignment["name"]
        value, position, is_cut = _value(text, assignment.end())
        if name in values and name not in repeated:
            repeated.append(name)
        if is_cut and name not in cut:
            cut.append(name)
        values[name] = value
    return DevVars(values, tuple(stray), tuple(repeated), tuple(cut))


def _value(text: str, start: int) -> tuple[str, int, bool]:
    """The value that begins at `start`, where the next line begins, and whether a `#` has cut a word."""
    quoted = _QUOTED.match(text, start)
    rest = None if quoted is None else _REST_OF_LINE.match(text, quoted.end())
    if quoted is not None and rest is not None:
        double = quoted["double"]
        if double is not None:
            return _with_line_feeds(double), rest.end(), False
        return quoted["single"] or quoted["back"] or "", rest.end(), False
    end = _end_of_line(text, start)
    value, comment, _ = text[start:end].partition("#")
    is_cut = bool(comment) and bool(value) and not value[-1].isspace()
    value = value.strip()
    # Quotes within do not matter here: "{"a": 1}" is {"a": 1}.
    pair = _PAIR.fullmatch(value)
    inner = pair[2] if pair is not None else value
    return _with_line_feeds(inner) if value.startswith('"') else inner, end, is_cut


def _with_line_feeds(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\r", "\r")


def _end_of_line(text: str, position: int) -> int:
    line = _LINE.match(text, position)
    return len(text) if line is None else line.end()
