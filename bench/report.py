"""Tables and targets, as text for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Target(NamedTuple):
    """A figure that the benchmark is to reach. A text that begins with dots goes on where the one before it
    stops.
    """

    what: str
    goal: str
    reached: str
    holds: bool


class Section(NamedTuple):
    """What one part of the benchmark found, on one runtime."""

    title: str
    runtime: str
    how: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    targets: list[Target]

    def as_markdown(self) -> str:
        """The section with its table."""
        return f"## {self.title}\n\n*{self.runtime}.* {self.how}\n\n{table(self.header, self.rows)}\n"


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


ON_EMBEDDED = "Embedded runtime"
ON_CURRENT = "Current workerd"


HOW = f"""\
A process for each Worker, nothing before it, an upstream that costs little in a process of its own. All
Workers of a table are measured in turn in the same run, several rounds, and the least of all rounds is taken,
since a busy machine only adds: ratios say more than figures. CPU is user and system time of the Worker's
process.

Each table names its runtime:

- **{ON_EMBEDDED}**: the workerd with Pyodide 0.26 inside, on which `make dev` and the tests run.
- **{ON_CURRENT}**: today's. It runs no Python here, since it would have to download that: JavaScript only.
- **Pyodide 0.28 in Node.js**, **Pyodide 314 in Node.js**: the Pythons of production (3.13 and 3.14), where
  `tests/production/host` plays the Workers runtime. Node's own HTTP, `fetch` and streams are in every figure
  and cost more than workerd's; the pipes of a native stream are a stand-in. So only ratios within a table say
  something about production. CPU is that of Node's main thread.

**limit**: a JavaScript Worker that returns `fetch(upstream)` as it is. **parses**: a JavaScript Worker that
parses and writes anew each body and each chunk. **empty**: a Python Worker that answers `ok`. **passes on**:
a Python Worker that returns `fetch(upstream)` as it is, from the same kind of entry as ours. **B**: our
Worker as it streams on current runtimes, **D**: as it streams on the embedded one (`platform/streams.py`)."""


def table_of_targets(sections: list[Section]) -> str:
    """All targets, and whether they hold."""
    rows = [
        (target.what, section.runtime, target.goal, target.reached, "yes" if target.holds else "**no**")
        for section in sections
        for target in section.targets
    ]
    return table(("Target", "runtime", "to reach", "reached", "holds"), rows)


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
