"""What an isolate has counted and not yet written to the database."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

COLUMNS = (
    "requests",
    "completed",
    "streams",
    "client_errors",
    "limit_errors",
    "upstream_errors",
    "gateway_errors",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "estimated_input_tokens",
    "estimated_output_tokens",
    "inputs",
    "first_byte_ms",
    "duration_ms",
)
"""What is counted, in the order of the database's columns; docs/usage.md explains each."""

INDEX = {name: index for index, name in enumerate(COLUMNS)}
BILLED = ("input_tokens", "output_tokens", "estimated_input_tokens", "estimated_output_tokens")
"""The columns that a daily limit adds up. Cached and reasoning tokens are parts of them."""

MOST_ROWS = 2_000
"""So many rows are kept at most while the database cannot be written; then models are lumped together."""

OTHER = "(other)"
"""Stands for models that there was no room for, or that nobody knows."""


class Row(NamedTuple):
    """What is counted apart from everything else."""

    day: str
    """`2026-11-27`, in UTC."""
    client: str
    """The label of the client's key."""
    hour: int
    model: str
    account: str
    """The label of the account; empty if no account has answered."""
    api: str


Counts = list[int]


class Counters:
    """Counts by row. Whoever writes them takes them all, and puts them back if the writing fails."""

    __slots__ = ("lost", "rows")

    def __init__(self) -> None:
        self.rows: dict[Row, Counts] = {}
        self.lost = 0
        """How many additions there was no room for."""

    def add(self, row: Row, changes: Mapping[str, int]) -> None:
        """Adds to the columns that are named."""
        counts = self.rows.get(row) or self._new(row)
        for name, change in changes.items():
            counts[INDEX[name]] += change

    def take(self) -> dict[Row, Counts]:
        """All rows; none is left. Nobody else writes to them any more."""
        rows, self.rows = self.rows, {}
        return rows

    def put_back(self, rows: dict[Row, Counts]) -> None:
        """Adds rows that were taken."""
        for row, counts in rows.items():
            present = self.rows.get(row) or self._new(row)
            for index, count in enumerate(counts):
                present[index] += count

    def _new(self, row: Row) -> Counts:
        if len(self.rows) >= MOST_ROWS and row.model != OTHER:
            row = row._replace(model=OTHER)
            if row in self.rows:
                return self.rows[row]
        counts = [0] * len(COLUMNS)
        if len(self.rows) < 2 * MOST_ROWS:
            self.rows[row] = counts
        else:
            self.lost += 1
        return counts


def billed(counts: Counts) -> int:
    """The tokens of a row that count for a daily limit."""
    return sum(counts[INDEX[name]] for name in BILLED)


def billed_changes(changes: Mapping[str, int]) -> int:
    """The same of changes by column."""
    return sum(changes.get(name, 0) for name in BILLED)


def utc_day(now_ms: int) -> str:
    """The day in UTC, `2026-11-27`."""
    return _day(now_ms // 86_400_000)


@lru_cache(maxsize=8)
def _day(since_epoch: int) -> str:
    """Remembered, since every request asks."""
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(since_epoch * 86_400))


def utc_hour(now_ms: int) -> int:
    """The hour of the day in UTC, from 0."""
    return now_ms // 3_600_000 % 24
