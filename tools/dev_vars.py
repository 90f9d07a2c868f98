r"""Reads a `.dev.vars` file as wrangler does: `NAME=value` lines, values optionally quoted.

Single quotes and backquotes keep a value as it is, double quotes turn `\n` into a line feed, and a quoted
value may span lines or begin on the next one. Without quotes a value ends at `#` or at the end of the line.
Wrangler reads UTF-8 only; `make dev` gives it a copy of a file that an editor has saved as UTF-16.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, NamedTuple

from qwen_worker.config.accounts import HIGHEST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ASSIGNMENT = re.compile(r"[^\S\n]*(?:export\s+)?(?P<name>[A-Za-z0-9_.-]+)(?:\s*=|:\s)")
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


def read_dev_vars(file: Path) -> dict[str, str]:
    """The variables of a file; none if there is no such file. Raises OSError, UnicodeError."""
    return parse_dev_vars(decode_text(file.read_bytes())).values if file.exists() else {}


def parse_dev_vars(text: str) -> DevVars:
    """Reads the text of a `.dev.vars` file. Never raises."""
    text = _with_plain_lines(text)
    values: dict[str, str] = {}
    stray: list[int] = []
    repeated: dict[str, None] = {}
    cut: dict[str, None] = {}
    for entry in _entries(text):
        if entry.name is None:
            stray.append(text.count("\n", 0, entry.start) + 1)
            continue
        if entry.name in values:
            repeated[entry.name] = None
        if entry.is_cut:
            cut[entry.name] = None
        values[entry.name] = entry.value
    return DevVars(values, tuple(stray), tuple(repeated), tuple(cut))


def write_value(file: Path, name: str, value: str) -> None:
    """Sets a variable in a file, in place of what it was set to, or at the end; the rest stays as it is.

    The file is UTF-8 afterwards, and only its owner may read a new one. `value` is one line without single
    quotes. Raises OSError, UnicodeError.
    """
    before = decode_text(file.read_bytes()) if file.exists() else ""
    text = with_value(before, name, value)
    if "\r\n" in before:
        text = text.replace("\n", "\r\n")
    partial = file.with_name(f"{file.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8", newline="")
    if before:
        partial.chmod(file.stat().st_mode & 0o777)
    partial.replace(file)


def with_value(text: str, name: str, value: str) -> str:
    """The text of a file with a variable set to `value`, one line without single quotes."""
    text = _with_plain_lines(text)
    line = f"{name}='{value}'\n"
    found = [entry for entry in _entries(text) if entry.name == name]
    if not found:
        return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}"
    last = found[-1]
    return f"{text[: last.start]}{line}{text[last.end :]}"


def login_variable(values: Mapping[str, str]) -> str:
    """Which variable a new login belongs in: QWEN_CLI_AUTH if it holds one login or none, otherwise the first
    numbered one that is not set.
    """
    if not values.get("QWEN_CLI_AUTH", "").lstrip().startswith("["):
        return "QWEN_CLI_AUTH"
    numbered = (f"QWEN_CLI_AUTH_{number}" for number in range(2, HIGHEST_NUMBER + 1))
    return next((name for name in numbered if not values.get(name)), "QWEN_CLI_AUTH")


class _Entry(NamedTuple):
    """An assignment, or a line that is none (`name` is None), in a text: `text[start:end]`."""

    name: str | None
    value: str
    start: int
    end: int
    is_cut: bool = False


def _entries(text: str) -> Iterator[_Entry]:
    position = 0
    while position < len(text):
        blank = _REST_OF_LINE.match(text, position)
        if blank is not None:
            position = blank.end()
            continue
        start, assignment = position, _ASSIGNMENT.match(text, position)
        if assignment is None:
            position = _end_of_line(text, position)
            yield _Entry(None, "", start, position)
            continue
        value, position, is_cut = _value(text, assignment.end())
        yield _Entry(assignment["name"], value, start, position, is_cut)


def _with_plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
