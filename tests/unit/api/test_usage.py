"""GET /v1/usage."""

import csv
import io
from typing import Any

import pytest

from qwen_worker.api.usage import parse_query
from qwen_worker.errors import InvalidRequest
from tests.support.chunks import text
from tests.support.clock import START_MS, virtual
from tests.support.database import SqliteDatabase
from tests.support.streams import StreamResponse
from tests.support.usage_gateway import UsageGateway, parsed

KEYS: dict[str, Any] = {"CLIENT_KEYS": "alice=key-1,bob=key-2", "ADMIN_KEY": "admin-key"}
PRICES = '{"qwen3-coder-plus": {"input": 1.0, "cached": 0.1, "output": 5.0}}'


async def used(**variables: str) -> UsageGateway:
    """Three requests of alice and one of bob, over two models; each took 10 and 5 tokens."""
    gateway = UsageGateway(database=SqliteDatabase(), **{**KEYS, **variables})
    for key, model in (("key-1", "qwen3-coder-plus"), ("key-1", "qwen3-max"), ("key-2", "qwen3-max")):
        assert (await gateway.chat(key, model)).status in (200, 401)
    await gateway.chat("key-1")
    return gateway


def requests(body: dict[str, Any], *by: str) -> dict[Any, int]:
    return {tuple(row[name] for name in by): row["requests"] for row in body["data"]}


@virtual
async def test_the_admin_sees_everything_at_once() -> None:
    gateway = await used()
    body = await gateway.usage("admin-key", "by=key,model")
    assert requests(body, "key", "model") == {
        ("alice", "qwen3-coder-plus"): 2,
        ("alice", "qwen3-max"): 1,
        ("bob", "qwen3-max"): 1,
    }
    assert (body["total"]["requests"], body["total"]["input_tokens"]) == (4, 40)
    assert (body["from"], body["to"], body["by"]) == ("2026-12-17", "2027-01-15", ["key", "model"])
    assert "cost" not in body["total"]


@virtual
async def test_a_key_sees_its_own_usage_alone() -> None:
    gateway = await used()
    for key, label, count in (("key-1", "alice", 3), ("key-2", "bob", 1)):
        assert requests(await gateway.usage(key), "key") == {(label,): count}
        assert (await gateway.usage(key, "by="))["total"]["requests"] == count
    assert (await gateway.ask("wrong", "GET", "/v1/usage")).status == 401


@virtual
async def test_without_an_admin_key_a_key_sees_no_more() -> None:
    gateway = UsageGateway(database=SqliteDatabase(), CLIENT_KEYS="alice=key-1,bob=key-2")
    await gateway.chat("key-1")
    assert requests(await gateway.usage("key-2"), "key") == {}


@virtual
async def test_an_open_gateway_shows_its_usage_to_whoever_may_use_it() -> None:
    gateway = UsageGateway(database=SqliteDatabase())
    await gateway.chat("whatever")
    assert requests(await gateway.usage("anything"), "key") == {("anyone",): 1}


@virtual
async def test_what_it_cost() -> None:
    gateway = await used(PRICES=PRICES)
    body = await gateway.usage("admin-key", "by=key")
    assert {row["key"]: row["cost"] for row in body["data"]} == {"alice": 0.00007, "bob": 0.0}
    assert body["total"]["cost"] == 0.00007
    assert body["models_without_price"] == ["qwen3-max"]
    assert all("model" not in row for row in body["data"])


@virtual
async def test_csv() -> None:
    gateway = await used(PRICES=PRICES)
    response = await gateway.ask("admin-key", "GET", "/v1/usage?by=key,model", headers={"accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(str(response.body))))
    assert [(row["key"], row["model"], row["requests"]) for row in rows] == [
        ("alice", "qwen3-coder-plus", "2"),
        ("alice", "qwen3-max", "1"),
        ("bob", "qwen3-max", "1"),
    ]
    assert rows[0]["cost"] == "7e-05"


@virtual
async def test_a_database_that_fails_is_told_and_nothing_else_suffers() -> None:
    gateway = await used()
    assert gateway.database is not None
    gateway.database.failures = 1e9
    response = await gateway.ask("admin-key", "GET", "/v1/usage")
    assert (response.status, parsed(response)["error"]["code"]) == (503, "usage_unavailable")
    assert (await gateway.chat("key-1")).status == 200
    gateway.database.failures = 0
    assert (await gateway.usage("admin-key"))["total"]["requests"] == 5


async def test_without_a_database_usage_is_not_kept() -> None:
    gateway = UsageGateway(database=None, **KEYS)
    response = await gateway.ask("admin-key", "GET", "/v1/usage")
    assert (response.status, parsed(response)["error"]["code"]) == (404, "usage_not_kept")
    assert "USAGE_DB" in parsed(await gateway.ask("key-1", "GET", "/health"))["usage"]


@virtual
async def test_health_tells_whose_key_it_is_and_the_admin_all_labels() -> None:
    gateway = await used()
    own = parsed(await gateway.ask("key-1", "GET", "/health"))
    assert (own["client"], own["usage"], "clients" in own) == ("alice", "kept", False)
    assert parsed(await gateway.ask("admin-key", "GET", "/health"))["clients"] == ["alice", "bob"]
    assert "client" not in parsed(await gateway.ask("wrong", "GET", "/health"))


@virtual
async def test_the_cron_trigger_merges_old_rows() -> None:
    gateway = await used()
    assert gateway.database is not None
    await gateway.background.finished()
    gateway.database.query("UPDATE usage SET day = '2025-11-20'")
    await gateway.gateway.scheduled(gateway.runtime)
    assert gateway.database.total("requests", "hour = -1") == 0  # it is 8 o'clock
    gateway.clock.advance(19 * 3600)
    await gateway.gateway.scheduled(gateway.runtime)
    assert gateway.database.total("requests", "hour = -1 AND day = '2025-11-01'") == 4


@virtual
async def test_the_cron_trigger_writes_what_a_client_that_went_away_has_left() -> None:
    """While a stream lasts nothing is written, and its end never comes."""
    gateway = UsageGateway(lambda _: StreamResponse(text("a"), 100.0), database=SqliteDatabase(), **KEYS)
    assert gateway.database is not None
    await gateway.chat("key-1", stream=True)
    assert gateway.gateway.ledger is not None
    assert gateway.gateway.ledger.counters.rows

    gateway.database.failures = 1
    await gateway.gateway.scheduled(gateway.runtime)
    assert gateway.logs.events("usage was not written")
    await gateway.gateway.scheduled(gateway.runtime)

    assert gateway.database.total("requests") == 1
    assert not gateway.gateway.ledger.counters.rows


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("to=20261101", "to"),
        ("to=2026-W01-1", "to"),
        ("from=2027-01-10&to=2027-01-09", "from"),
        ("by=day,prompt", "by"),
        ("by=day;DROP TABLE usage", "by"),
    ],
)
def test_a_bad_query_is_refused_by_name(query: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_query(query, START_MS)
    assert refusal.value.param == param
