"""D1: a real SQLite behind the Database port, which fails or hangs on command."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from qwen_worker.platform.ports import StoreError, TableMissing
from tests.support.clock import pass_time


class SqliteDatabase:
    """The Database port. Several isolates may share one."""

    def __init__(self, *, delay_seconds: float = 0.02) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.delay_seconds = delay_seconds
        self.failures: float = 0
        """So many of the next calls fail."""
        self.hangs = False
        self.reads = 0
        self.writes = 0

    async def all(self, sql: str, *params: str | int) -> list[dict[str, Any]]:
        self.reads += 1
        await self._suffer()
        return self.query(sql, *params)

    async def batch(self, *statements: tuple[str, tuple[str | int, ...]]) -> None:
        self.writes += 1
        await self._suffer()
        self.connection.execute("BEGIN")
        try:
            for sql, params in statements:
                self.query(sql, *params)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def query(self, sql: str, *params: str | int) -> list[dict[str, Any]]:
        """The rows, at once."""
        try:
            return [dict(row) for row in self.connection.execute(sql, params)]
        except sqlite3.OperationalError as error:
            raise (TableMissing if "no such table" in str(error) else StoreError)(str(error)) from None

    def total(self, column: str, where: str = "true") -> int:
        """The sum of a column."""
        [row] = self.query(f"SELECT COALESCE(SUM({column}), 0) AS total FROM usage WHERE {where}")
        total: int = row["total"]
        return total

    async def _suffer(self) -> None:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        await pass_time(self.delay_seconds)
        if self.failures > 0:
            self.failures -= 1
            raise StoreError("D1_ERROR SQLITE_ERROR")
