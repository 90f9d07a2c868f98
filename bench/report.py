"""Tables and targets, as text for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Target(NamedTuple):
    """A figure that the benchmark is to reach."""

    what: str
    goal: str
    reached: str
    holds: bool


class Section(NamedTuple):
    """What one part of the benchmark found."""

    title: str
    how: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    targets: list[Target]

    def as_markdown(self) -> str:
        """The section with its table."""
        return f"## {self.title}\n\n{self.how}\n\n{table(self.header, self.rows)}\n"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table whose columns line up; all but the first are aligned to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: tuple[str, ...]) -> str:
        padded = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths))
    return "\n".join([line(header), f"|{rule}|", *(line(row) for row in rows)])


def at_most(what: str, value: float, limit: float, unit: str = "x") -> Target:
    """A target that holds when `value` does not exceed `limit`."""
    return Target(what, f"at most {limit:g} {unit}", f"{value:.2f} {unit}", value <= limit)


def times(value: float, base: float) -> str:
    """A ratio for a table."""
    return f"{value / base:.2f} x"


NOTES = "<!-- What follows is written by hand and kept. -->"


HOW = """\
One workerd process a Worker, nothing before it, an upstream that costs little in a process of its own. All
Workers of a table are measured in turn in the same run: ratios say more than figures. CPU is user and system
time of the workerd process.

**limit**: a JavaScript Worker that returns `fetch(upstream)` as it is. **parses**: a JavaScript Worker that
parses and writes anew each body and each chunk. **empty**: a Python Worker that answers `ok`. **passes on**:
a Python Worker that returns `fetch(upstream)` as it is. **B**: our Worker as it streams on current runtimes,
**D**: as it streams on the embedded one (`platform/streams.py`)."""


def table_of_targets(sections: list[Section]) -> str:
    """All targets, and whether they hold."""
    targets = [target for section in sections for target in section.targets]
    rows = [
        (target.what, target.goal, target.reached, "yes" if target.holds else "**no**") for target in targets
    ]
    return table(("Target", "to reach", "reached", "holds"), rows)


def results_document(sections: list[Section], setting: str, previous: Path) -> str:
    """The text of RESULTS.md. What stands after NOTES in the previous one is kept."""
    notes = ""
    if previous.exists():
        notes = previous.read_text().partition(NOTES)[2]
    parts = [
        "# Results of the benchmark",
        f"Written by `make bench`: {setting}",
        HOW,
        "## Targets",
        table_of_targets(sections),
        *(section.as_markdown().strip() for section in sections),
        NOTES + notes.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"
