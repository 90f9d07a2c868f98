import pytest

from qwen_worker.platform.ports import StoreError
from qwen_worker.usage.counters import COLUMNS, INDEX, Row
from qwen_worker.usage.store import MERGED_HOUR, SCHEMA_VERSION, UsageStore
from tests.support.database import SqliteDatabase

ROW = Row("2026-11-27", "alice", 18, "qwen3-coder-plus", "first", "chat")


def counts(**named: int) -> list[int]:
    row = [0] * len(COLUMNS)
    for name, count in named.items():
        row[INDEX[name]] = count
    return row


async def test_the_table_is_made_when_it_is_needed_with_its_version() -> None:
    database = SqliteDatabase()
    store = UsageStore(database)
    assert await store.sums("2026-01-01", "2026-12-31", ["day"], None) == []
    assert await store.spent("2026-11-27", ["alice"]) == {}
    await store.merge_before("2026-01-01")

    await store.write({ROW: counts(requests=1)})

    assert database.query("SELECT version FROM usage_schema") == [{"version": SCHEMA_VERSION}]
    assert database.total("requests") == 1


async def test_writes_add_to_what_is_there() -> None:
    database = SqliteDatabase()
    store = UsageStore(database)
    await store.write({ROW: counts(requests=1, input_tokens=5), ROW._replace(hour=19): counts(requests=4)})
    await store.write({ROW: counts(requests=2, input_tokens=-1)})

    rows = await store.sums("2026-11-27", "2026-11-27", ["hour"], None)

    assert [(row["hour"], row["requests"], row["input_tokens"]) for row in rows] == [(18, 3, 4), (19, 4, 0)]
    assert all(isinstance(value, int) for row in rows for value in row.values())


async def test_a_thousand_rows_are_one_statement() -> None:
    database = SqliteDatabase()
    await UsageStore(database).write({ROW: counts(requests=1)})
    before = database.writes

    await UsageStore(database).write({ROW._replace(model=f"m{n}"): counts(requests=1) for n in range(1000)})

    assert database.writes == before + 1
    assert database.total("requests") == 1001


async def test_only_what_is_asked_for_is_summed() -> None:
    store = UsageStore(SqliteDatabase())
    await store.write(
        {
            ROW: counts(requests=1),
            ROW._replace(client="bob"): counts(requests=2),
            ROW._replace(day="2026-11-26"): counts(requests=4),
            ROW._replace(day="2026-11-28"): counts(requests=8),
        }
    )

    async def requests(*arguments: object) -> list[int]:
        rows = await store.sums(*arguments)  # type: ignore[arg-type]
        return [row["requests"] for row in rows]

    assert await requests("2026-11-26", "2026-11-27", ["day"], None) == [4, 3]
    assert await requests("2026-11-26", "2026-11-27", ["day"], "alice") == [4, 1]
    assert await requests("2026-11-01", "2026-11-30", ["client"], None) == [13, 2]
    assert await requests("2026-11-01", "2026-11-30", [], None) == [15]


async def test_a_label_cannot_speak_sql() -> None:
    store = UsageStore(SqliteDatabase())
    await store.write({ROW: counts(requests=1)})
    for label in ("' OR 1=1 --", 'alice" OR "1', "*"):
        assert await store.sums("2026-11-01", "2026-11-30", ["day"], label) == []


async def test_what_a_label_has_spent_is_input_and_output_told_and_estimated() -> None:
    store = UsageStore(SqliteDatabase())
    await store.write(
        {
            ROW: counts(input_tokens=1, output_tokens=2, cached_tokens=100, reasoning_tokens=100),
            ROW._replace(hour=3): counts(estimated_input_tokens=4, estimated_output_tokens=8),
            ROW._replace(day="2026-11-26"): counts(input_tokens=1000),
            ROW._replace(client="bob"): counts(input_tokens=16),
            ROW._replace(client="carol"): counts(input_tokens=32),
        }
    )
    assert await store.spent("2026-11-27", ["alice", "bob", "dave"]) == {"alice": 15, "bob": 16}


async def test_old_rows_are_merged_by_month_and_their_sums_stay() -> None:
    database = SqliteDatabase()
    store = UsageStore(database)
    days = ("2025-08-30", "2025-08-31", "2025-09-01", "2025-09-02", "2026-11-27")
    await store.write({ROW._replace(day=day, hour=h): counts(requests=1) for day in days for h in range(3)})

    await store.merge_before("2025-09-02")
    await store.merge_before("2025-09-02")

    merged = [("2025-08-01", 6), ("2025-09-01", 3)]
    rows = database.query("SELECT day, requests FROM usage WHERE hour = ?1 ORDER BY day", MERGED_HOUR)
    assert [(row["day"], row["requests"]) for row in rows] == merged
    assert database.total("requests") == 15

    await store.merge_before("2025-09-03")
    rows = await store.sums("2025-09-01", "2025-09-30", ["day"], None)
    assert [(row["day"], row["requests"]) for row in rows] == [("2025-09-01", 6)]
    assert database.total("requests") == 15


async def test_a_failure_is_told() -> None:
    database = SqliteDatabase()
    database.failures = 1
    with pytest.raises(StoreError):
        await UsageStore(database).write({ROW: counts(requests=1)})
