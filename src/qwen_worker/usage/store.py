"""Usage in the database: one table, a row for each hour, key, account, model and API.

The table is created when it is found missing. Nobody but this module knows SQL.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qwen_worker.platform.ports import Database, TableMissing
from qwen_worker.usage.counters import BILLED, COLUMNS, Counts, Row

SCHEMA_VERSION = 1
KEPT_DAYS = 400
"""For so long hours are told apart; what is older is merged by month."""

MERGED_HOUR = -1
"""The hour of a row that stands for a month, whose day is the first of the month."""

MOST_ROWS_READ = 10_000

_KEYS = Row._fields
_CREATE = (
    "CREATE TABLE IF NOT EXISTS usage_schema (only_row INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    f"INSERT OR IGNORE INTO usage_schema VALUES (1, {SCHEMA_VERSION})",  # noqa: S608
    "CREATE TABLE IF NOT EXISTS usage (day TEXT NOT NULL, client TEXT NOT NULL, hour INTEGER NOT NULL, "
    "model TEXT NOT NULL, account TEXT NOT NULL, api TEXT NOT NULL, "
    + ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in COLUMNS)
    + f", PRIMARY KEY ({', '.join(_KEYS)})) WITHOUT ROWID",
)
_NAMES = ", ".join((*_KEYS, *COLUMNS))
_ADD = f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in COLUMNS)}"
_VALUES = ", ".join(f"value ->> {index}" for index in range(len(_KEYS) + len(COLUMNS)))
_SUMS = ", ".join(f"SUM({name}) AS {name}" for name in COLUMNS)
_BILLED = " + ".join(BILLED)

# `WHERE true` is what SQLite's grammar needs before ON CONFLICT here. One parameter for any number of rows.
_WRITE = f"INSERT INTO usage ({_NAMES}) SELECT {_VALUES} FROM json_each(?1) WHERE true {_ADD}"  # noqa: S608
_SPENT = (
    f"SELECT client, SUM({_BILLED}) AS tokens FROM usage "  # noqa: S608
    "WHERE day = ?1 AND client IN (SELECT value FROM json_each(?2)) GROUP BY client"
)
_OLD = "FROM usage WHERE day < ?1 AND hour >= 0"
_MERGE = (
    f"INSERT INTO usage ({_NAMES}) SELECT substr(day, 1, 7) || '-01', client, {MERGED_HOUR}, "
    f"model, account, api, {_SUMS} {_OLD} GROUP BY 1, client, model, account, api {_ADD}"
)


class UsageStore:
    """The table. Every method raises StoreError."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, rows: Mapping[Row, Counts]) -> None:
        """Adds counts."""
        values = json.dumps([[*row, *counts] for row, counts in rows.items()])
        try:
            await self._database.batch((_WRITE, (values,)))
        except TableMissing:
            await self._database.batch(*((sql, ()) for sql in _CREATE), (_WRITE, (values,)))

    async def spent(self, day: str, labels: Iterable[str]) -> dict[str, int]:
        """The tokens that the keys of these labels have used in a day; labels without any are left out."""
        rows = await self._rows(_SPENT, day, json.dumps([*labels]))
        return {row["client"]: row["tokens"] for row in rows}

    async def sums(
        self, first_day: str, last_day: str, by: Sequence[str], client: str | None
    ) -> list[dict[str, Any]]:
        """The sums of all columns by some members of Row, ordered by these; `client`: of one label only."""
        keys = ", ".join(name for name in by if name in _KEYS)
        where = "day BETWEEN ?1 AND ?2" + ("" if client is None else " AND client = ?3")
        columns = f"{keys}, {_SUMS}" if keys else _SUMS
        grouped = f" GROUP BY {keys} ORDER BY {keys} LIMIT {MOST_ROWS_READ}" if keys else ""
        sql = f"SELECT {columns} FROM usage WHERE {where}{grouped}"  # noqa: S608
        params = (first_day, last_day) if client is None else (first_day, last_day, client)
        return await self._rows(sql, *params)

    async def merge_before(self, day: str) -> None:
        """Merges the rows before a day by month."""
        try:
            await self._database.batch((_MERGE, (day,)), (f"DELETE {_OLD}", (day,)))
        except TableMissing:
            return

    async def _rows(self, sql: str, *params: str) -> list[dict[str, Any]]:
        try:
            return await self._database.all(sql, *params)
        except TableMissing:
            return []
