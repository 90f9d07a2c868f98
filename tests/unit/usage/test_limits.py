"""What a key may use, through the whole gateway."""

import asyncio
import json
from typing import Any

import pytest

from qwen_worker.platform.ports import StoreError
from tests.support.clock import virtual
from tests.support.database import SqliteDatabase
from tests.support.ports import ScriptedResponse
from tests.support.usage_gateway import UsageGateway, completion, parsed


def keys(**limits: Any) -> str:
    return json.dumps([{"key": "key-1", "label": "alice", **limits}, "bob=key-2"])


def spending(tokens: int) -> Any:
    return lambda _: ScriptedResponse(200, completion(tokens, 0))


@virtual
async def test_a_day_of_tokens_and_not_more() -> None:
    gateway = UsageGateway(spending(40), database=SqliteDatabase(), CLIENT_KEYS=keys(tokens_per_day=100))
    left = []
    for _ in range(3):
        response = await gateway.chat("key-1")
        assert response.status == 200
        left.append(int(response.headers["x-ratelimit-remaining-tokens"]))
        assert response.headers["x-ratelimit-limit-tokens"] == "100"
    refused = await gateway.chat("key-1")

    # What is under way counts as an estimate of its input.
    assert [100 - 40 * n - number for n, number in enumerate(left)] == [13, 13, 13]
    assert refused.status == 429
    error = parsed(refused)["error"]
    assert error["code"] == "insufficient_quota"
    assert "2027-01-16T00:00:00Z" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
    assert (await gateway.chat("key-2")).status == 200
    assert "x-ratelimit-limit-tokens" not in (await gateway.chat("key-2")).headers

    await asyncio.sleep(16 * 3600)  # 8:00 -> midnight
    assert (await gateway.chat("key-1")).status == 200


@virtual
async def test_every_answer_tells_what_is_left() -> None:
    gateway = UsageGateway(database=SqliteDatabase(), CLIENT_KEYS=keys(tokens_per_day=100))
    for method, path in (("GET", "/v1/models"), ("GET", "/v1/usage"), ("POST", "/v1/chat/completions")):
        response = await gateway.ask("key-1", method, path)
        assert response.headers["x-ratelimit-remaining-tokens"] == "100", path
        assert response.headers["x-ratelimit-reset-tokens"].endswith("s")


@virtual
async def test_keys_of_one_label_share_its_limit() -> None:
    described = [{"key": f"key-{n}", "label": "team", "tokens_per_day": 100} for n in (1, 2)]
    gateway = UsageGateway(spending(60), database=SqliteDatabase(), CLIENT_KEYS=json.dumps(described))
    statuses = [(await gateway.chat(key)).status for key in ("key-1", "key-2", "key-1", "key-2")]
    assert statuses == [200, 200, 429, 429]


@virtual
async def test_a_new_isolate_knows_what_others_have_written() -> None:
    database = SqliteDatabase()
    first = UsageGateway(spending(150), database=database, CLIENT_KEYS=keys(tokens_per_day=100))
    await first.chat("key-1")
    await first.background.finished()

    second = UsageGateway(spending(150), database=database, CLIENT_KEYS=keys(tokens_per_day=100))
    assert (await second.chat("key-1")).status == 429


@virtual
async def test_another_isolates_spending_counts_within_a_minute() -> None:
    database = SqliteDatabase()
    first, second = (
        UsageGateway(spending(10), database=database, CLIENT_KEYS=keys(tokens_per_day=1000)) for _ in range(2)
    )
    await first.chat("key-1")
    await second.chat("key-1")
    await second.background.finished()
    database.query("UPDATE usage SET input_tokens = 5000")

    statuses = []
    for _ in range(80):
        statuses.append((await first.chat("key-1")).status)
        await asyncio.sleep(1)
    assert statuses[0] == 200
    assert set(statuses[71:]) == {429}
    assert database.reads <= 2 * (80 // 60 + 2)


@virtual
async def test_a_request_waits_for_the_database_only_when_the_limit_is_near() -> None:
    database = SqliteDatabase(delay_seconds=0.5)
    gateway = UsageGateway(spending(10), database=database, CLIENT_KEYS=keys(tokens_per_day=1000))
    loop = asyncio.get_running_loop()

    async def seconds() -> float:
        began = loop.time()
        await gateway.chat("key-1")
        return loop.time() - began

    assert await seconds() == pytest.approx(0.5)  # nothing is known of the key
    assert [await seconds() for _ in range(5)] == [0] * 5
    await asyncio.sleep(70)
    assert await seconds() == 0  # far from its limit, although the reading is old
    await gateway.background.finished()
    database.query("UPDATE usage SET input_tokens = 900")
    await asyncio.sleep(70)
    await seconds()
    await gateway.background.finished()
    await asyncio.sleep(70)
    assert await seconds() == pytest.approx(0.5)


@pytest.mark.parametrize("fault", ["fails", "hangs", "missing"])
@virtual
async def test_without_an_answering_database_each_isolate_counts_for_itself(fault: str) -> None:
    database = None if fault == "missing" else SqliteDatabase()
    if database is not None:
        database.failures, database.hangs = 1e9, fault == "hangs"
    gateway = UsageGateway(spending(60), database=database, CLIENT_KEYS=keys(tokens_per_day=100))
    began = asyncio.get_running_loop().time()
    statuses = [(await gateway.chat("key-1")).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert asyncio.get_running_loop().time() - began <= 1.1


@virtual
async def test_whoever_hangs_up_pays_for_the_input_all_the_same() -> None:
    """Qwen's answer begins, and its end never comes: the client has taken the request with it."""
    gateway = UsageGateway(
        lambda _: ScriptedResponse(
            200,
            b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n',
            {"content-type": "text/event-stream"},
        ),
        database=SqliteDatabase(),
        CLIENT_KEYS=keys(tokens_per_day=100_000),
    )
    await gateway.chat("key-1", stream=True, messages=[{"role": "user", "content": "word " * 10_000}])
    left = (await gateway.ask("key-1", "GET", "/v1/models")).headers["x-ratelimit-remaining-tokens"]
    assert 85_000 < int(left) < 95_000


@virtual
async def test_requests_a_minute_without_a_binding() -> None:
    gateway = UsageGateway(database=None, CLIENT_KEYS=keys(requests_per_minute=3))
    statuses = [(await gateway.chat("key-1")).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = await gateway.chat("key-1")
    assert parsed(refused)["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await gateway.chat("key-2")).status == 200
    await asyncio.sleep(60)
    assert (await gateway.chat("key-1")).status == 200


class Binding:
    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    async def allows(self, key: str) -> bool:
        self.keys.append(key)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@virtual
async def test_requests_a_minute_with_the_platforms_binding() -> None:
    binding = Binding(True, False, StoreError("Error"))
    gateway = UsageGateway(
        database=None,
        rate_limit={3: binding}.get,
        CLIENT_KEYS=keys(requests_per_minute=3),
    )
    statuses = [(await gateway.chat("key-1")).status for _ in range(3)]
    assert statuses == [200, 429, 200]  # a binding that fails refuses nobody
    assert binding.keys == ["alice"] * 3


async def test_only_the_models_of_a_key() -> None:
    gateway = UsageGateway(
        database=None,
        CLIENT_KEYS=keys(models=["qwen3-coder-*"]),
        MODEL_ALIASES="gpt-4o=qwen3-coder-flash,o3=qwen-max",
        QWEN_MODELS="qwen3-coder-plus,qwen3-coder-flash,qwen-max",
    )
    listed = parsed(await gateway.ask("key-1", "GET", "/v1/models"))["data"]
    assert [model["id"] for model in listed] == ["qwen3-coder-plus", "qwen3-coder-flash", "gpt-4o"]
    assert len(parsed(await gateway.ask("key-2", "GET", "/v1/models"))["data"]) == 5
    for model, status in (("gpt-4o", 200), ("qwen3-coder-plus", 200), ("qwen-max", 404), ("o3", 404)):
        for response in (
            await gateway.chat("key-1", model),
            await gateway.ask("key-1", "GET", f"/v1/models/{model}"),
        ):
            assert response.status == status, model
            if status == 404:
                assert parsed(response)["error"]["code"] == "model_not_found"
        assert (await gateway.chat("key-2", model)).status == 200


async def test_an_expired_key_is_refused() -> None:
    gateway = UsageGateway(database=None, CLIENT_KEYS=keys(expires="2027-01-15T07:00:00Z"))
    response = await gateway.chat("key-1")
    assert response.status == 401
    assert "expired" in parsed(response)["error"]["message"]


async def test_the_admin_key_uses_nothing() -> None:
    gateway = UsageGateway(database=None, CLIENT_KEYS="key-1", ADMIN_KEY="admin-key")
    response = await gateway.chat("admin-key")
    assert (response.status, parsed(response)["error"]["code"]) == (403, "not_permitted")
    message = await gateway.ask("admin-key", "POST", "/v1/messages")
    assert parsed(message)["error"]["type"] == "permission_error"
    assert (await gateway.ask("admin-key", "GET", "/v1/models")).status == 200
