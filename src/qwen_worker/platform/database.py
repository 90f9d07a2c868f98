"""The ports Database and RateLimit: D1 and the platform's rate limiting."""

from typing import Any

from js import JSON
from pyodide.ffi import JsException, to_js

from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.platform import ports
from qwen_worker.platform.interop import js_object


class WorkerDatabase:
    """A D1 binding."""

    __slots__ = ("_binding",)

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def all(self, sql: str, *params: str | int) -> list[dict[str, Any]]:
        try:
            result = await self._prepared(sql, params).all()
        except JsException as error:
            raise _store_error(error) from None
        try:
            rows: list[dict[str, Any]] = parse(JSON.stringify(result.results))
        except JsonTextError:
            raise ports.StoreError("rows that are no JSON") from None
        return rows

    async def batch(self, *statements: tuple[str, tuple[str | int, ...]]) -> None:
        try:
            await self._binding.batch(to_js([self._prepared(sql, params) for sql, params in statements]))
        except JsException as error:
            raise _store_error(error) from None

    def _prepared(self, sql: str, params: tuple[str | int, ...]) -> Any:
        statement = self._binding.prepare(sql)
        return statement.bind(*params) if params else statement


class WorkerRateLimit:
    """A rate limiting binding."""

    __slots__ = ("_binding",)

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def allows(self, key: str) -> bool:
        try:
            return bool((await self._binding.limit(js_object({"key": key}))).success)
        except JsException as error:
            raise ports.StoreError(error.name) from None


def _store_error(error: JsException) -> ports.StoreError:
    """D1 tells its errors apart by their text alone: `D1_ERROR: no such table: usage: SQLITE_ERROR`."""
    kind, *_, code = str(error.message).split(": ")
    known = "no such table" in str(error.message)
    return (ports.TableMissing if known else ports.StoreError)(f"{kind[:40]} {code[-40:]}")
