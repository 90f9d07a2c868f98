"""What the doctor and the deployment find, and how they tell it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Level = Literal["ok", "note", "warning", "error"]


class Finding(NamedTuple):
    """One thing that was looked at. `remedy` says how to mend it. Neither text ever holds a secret."""

    level: Level
    text: str
    remedy: str = ""


def ok(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def note(text: str, remedy: str = "") -> Finding:
    """Nothing is wrong, but it is worth knowing."""
    return Finding("note", text, remedy)


def warning(text: str, remedy: str) -> Finding:
    """It works, and may not be what is wanted."""
    return Finding("warning", text, remedy)


def error(text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding("error", text, remedy)


def report(findings: Iterable[Finding]) -> int:
    """Prints findings, each with its remedy; returns how many errors there are."""
    errors = 0
    for finding in findings:
        errors += finding.level == "error"
        print(f"  {finding.level:<7}  {finding.text}", flush=True)
        if finding.remedy:
            print(f"  {'':<7}  -> {finding.remedy}", flush=True)
    return errors


def stop_at_errors(program: str, findings: Iterable[Finding]) -> None:
    """Prints findings; ends the program, before it has sent anything, if one of them is an error."""
    if report(findings):
        sys.exit(f"{program}: nothing was sent")
