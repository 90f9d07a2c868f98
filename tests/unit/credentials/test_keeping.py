"""What a static key does, what cron does, what /health is told, and that nothing leaks."""

import asyncio
import json

from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.upstream.hosts import DEFAULT_API_KEY_BASE_URL
from tests.support.clock import virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, LIFETIME_SECONDS, Answer, TokenEndpoint, login_json

KEY = {"QWEN_API_KEY": "static-key-1"}
LOGIN = {"QWEN_CLI_AUTH": login_json()}
EXPIRED = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}


@virtual
async def test_a_static_key_calls_its_default_host_and_touches_neither_kv_nor_qwens_login() -> None:
    kv = MemoryKV()
    isolate = Isolate(KEY, kv=kv)
    assert (await isolate.acquire()).base_url == DEFAULT_API_KEY_BASE_URL
    await isolate.cron()
    assert not kv.reads
    assert isolate.endpoint.requests == []
    assert {"token source", "base URL resolved"} <= set(isolate.events("debug"))


@virtual
async def test_cron_keeps_a_worker_without_traffic_logged_in() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    for _ in range(4 * 24 * 3):
        await Isolate(LOGIN, kv=kv, endpoint=endpoint).cron()
        await asyncio.sleep(15 * 60)
    assert 3 * 4 <= len(endpoint.spent) <= 3 * 5
    assert endpoint.refused == 0
    assert (await Isolate(LOGIN, kv=kv, endpoint=endpoint).acquire()).secret.startswith("access-refresh-1")
    assert len(endpoint.requests) == len(endpoint.spent)


@virtual
async def test_with_cron_requests_never_have_to_refresh() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    serving = Isolate(LOGIN, kv=kv, endpoint=endpoint)
    for _ in range(4 * 24 * 3):
        await Isolate(LOGIN, kv=kv, endpoint=endpoint).cron()
        for _ in range(15):
            await serving.acquire()
            await asyncio.sleep(60)
    assert "token refreshed" not in serving.events("info")
    assert endpoint.refused == 0


@virtual
async def test_cron_does_nothing_while_the_token_has_long_to_live() -> None:
    kv = MemoryKV()
    isolate = Isolate(LOGIN, kv=kv)
    for _ in range(4 * 4):
        await isolate.cron()
        await asyncio.sleep(15 * 60)
    assert kv.reads == [RECORD_KEY]
    assert isolate.endpoint.requests == []


@virtual
async def test_cron_survives_everything() -> None:
    kv = MemoryKV()
    kv.fail_reads = kv.fail_writes = float("inf")
    isolate = Isolate(EXPIRED, kv=kv)
    isolate.endpoint.faults = [Answer(503, ""), "time out", Answer(400, "{}"), RuntimeError("bug")]
    for _ in range(6):
        await isolate.cron()
        await asyncio.sleep(15 * 60)
    await Isolate({}, kv=None).cron()


@virtual
async def test_cron_and_requests_share_one_refresh() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    await asyncio.gather(isolate.cron(), *(isolate.acquire() for _ in range(10)), isolate.cron())
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_health_is_told_what_an_operator_needs() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    before = await isolate.describe()
    assert (before["kind"], before["state"], before["source"]) == ("oauth", "refresh_pending", "environment")
    assert before["expires_in_seconds"] == -11
    assert before["last_refresh"] is None
    await isolate.acquire()
    await asyncio.sleep(59.5)
    after = await isolate.describe()
    assert (after["state"], after["source"], after["kv_bound"]) == ("ready", "memory", True)
    assert LIFETIME_SECONDS - 70 < after["expires_in_seconds"] < LIFETIME_SECONDS - 50
    assert after["last_refresh"] == {"result": "ok", "at": "2027-01-15T08:00:00Z", "seconds_ago": 59}


@virtual
async def test_health_of_a_fresh_isolate_looks_into_kv_once() -> None:
    kv = MemoryKV()
    await Isolate(EXPIRED, kv=kv).acquire()
    isolate = Isolate(EXPIRED, kv=kv)
    reads = kv.record_reads
    for _ in range(3):
        assert (await isolate.describe())["source"] == "kv"
    assert kv.record_reads == reads + 1


@virtual
async def test_health_of_the_conditions() -> None:
    assert (await Isolate({}, kv=None).describe())["state"] == "missing"
    assert (await Isolate(KEY, kv=None).describe())["kind"] == "api_key"
    assert (await Isolate(LOGIN, kv=None).describe())["kv_bound"] is False
    dead = Isolate(EXPIRED, kv=MemoryKV(), endpoint=TokenEndpoint("another-0"))
    await dead.error()
    description = await dead.describe()
    assert description["state"] == "rejected"
    assert description["last_refresh"]["result"] == "HTTP 400 invalid_request"
    plain = Isolate({"QWEN_CLI_AUTH": login_json(refresh=None, expires_in_seconds=-1)}, kv=None)
    assert (await plain.describe())["state"] == "expired"


@virtual
async def test_a_bug_in_a_job_leaves_no_request_hanging() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.faults = [RuntimeError("a bug, not a fault")]
    error = await isolate.error()
    assert error.code == "credentials_refreshing"
    assert "credentials job failed" in isolate.events("error")
    await asyncio.sleep(5)
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_no_token_or_part_of_one_shows_in_logs_health_and_errors() -> None:
    kv = MemoryKV()
    kv.fail_writes = 2
    isolate = Isolate(EXPIRED, kv=kv)
    await isolate.acquire()
    await isolate.background.finished()
    await asyncio.sleep(2 * HOUR)
    isolate.endpoint.live = {"another-0"}
    shown = [json.dumps(isolate.lines), json.dumps(await isolate.describe())]
    await asyncio.sleep(LIFETIME_SECONDS)
    await isolate.error()
    await asyncio.sleep(80)
    shown += [openai_error_body(await isolate.error()), json.dumps(isolate.lines)]
    for secret in ("access-refresh", "refresh-0", "refresh-1", "another-0"):
        assert all(secret not in text for text in shown)
    assert {"token refreshed", "KV failed", "login rejected"} <= {line["event"] for line in isolate.lines}
