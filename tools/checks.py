"""What the doctor and the deployment check, and how they report it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Level = Literal["ok", "note", "warning", "error"]


class Check(NamedTuple):
    """The result of one check. `remedy` says how to mend it. Neither text ever holds a secret."""

    level: Level
    text: str
    remedy: str = ""


def ok(text: str) -> Check:
    """It is as it should be."""
    return Check("ok", text)


def note(text: str, remedy: str = "") -> Check:
    """Nothing is wrong, but it is worth knowing."""
    return Check("note", text, remedy)


def warning(text: str, remedy: str) -> Check:
    """It works, but may not be what the operator wants."""
    return Check("warning", text, remedy)


def error(text: str, remedy: str) -> Check:
    """It does not work."""
    return Check("error", text, remedy)


def report(checks: Iterable[Check]) -> list[Level]:
    """Prints checks as they come, each with its remedy; returns their levels."""
    levels: list[Level] = []
    for check in checks:
        levels.append(check.level)
        print(f"  {check.level:<7}  {check.text}", flush=True)
        if check.remedy:
            print(f"  {'':<7}  -> {check.remedy}", flush=True)
    return levels


def stop_at_errors(program: str, checks: Iterable[Check]) -> None:
    """Prints checks; ends the program, before it has sent anything, if one of them is an error."""
    if "error" in report(checks):
        sys.exit(f"{program}: nothing was sent")
