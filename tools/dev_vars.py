r"""Reads a `.dev.vars` file as wrangler does: `NAME=value` lines, values optionally quoted.

Single quotes and backquotes keep a value as it is, double quotes turn `\n` into a line feed, and a quoted
value may span lines. Without quotes a value ends at `#` or at the end of the line.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*[=:][ \t]*", re.ASCII)
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
_LINE = re.compile(r"[^\n]*(?:\n|$)")
_QUOTED = re.compile(r"""'(?P<single>(?:\\'|[^'])*)'|"(?P<double>(?:\\"|[^"])*)"|`(?P<back>(?:\\`|[^`])*)`""")


class DevVars(NamedTuple):
    """What the file holds. `stray_lines` are the numbers of lines that are no assignment, a comment or blank.

    `repeated` are names that are assigned more than once: the last one counts.
    """

    values: dict[str, str]
    stray_lines: tuple[int, ...]
    repeated: tuple[str, ...]


def parse_dev_vars(text: str) -> DevVars:
    """Reads the text of a `.dev.vars` file. Never raises."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    stray: list[int] = []
    repeated: list[str] = []
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
        value, position = _value(text, assignment.end())
        if name in values and name not in repeated:
            repeated.append(name)
        values[name] = value
    return DevVars(values, tuple(stray), tuple(repeated))


def _value(text: str, start: int) -> tuple[str, int]:
    """The value that begins at `start`, and where the next line begins."""
    quoted = _QUOTED.match(text, start)
    rest = None if quoted is None else _REST_OF_LINE.match(text, quoted.end())
    if quoted is not None and rest is not None:
        double = quoted["double"]
        if double is not None:
            return double.replace("\\n", "\n").replace("\\r", "\r"), rest.end()
        return quoted["single"] or quoted["back"] or "", rest.end()
    end = _end_of_line(text, start)
    return text[start:end].split("#")[0].strip(), end


def _end_of_line(text: str, position: int) -> int:
    line = _LINE.match(text, position)
    return len(text) if line is None else line.end()
