"""The credentials on the real workerd, against refresh tokens that work once."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.oauth import Login
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker, KvFaults

RECORD_KEY = "qwen_oauth_credentials"
BODY = {"model": "qwen3-coder-plus", "messages": [{"role": "user", "content": "Say hello."}]}
HEADERS = {"authorization": f"Bearer {CLIENT_KEY}"}
TIMEOUT_SECONDS = 40.0


@pytest.fixture
def expired(simulator: QwenSimulator) -> Login:
    """A login whose access token has expired and whose refresh token works."""
    return simulator.create_login(access_token_seconds=-60)


def secret(login: Login) -> dict[str, str]:
    """The variable of a Worker with this login."""
    return {"QWEN_CLI_AUTH": json.dumps(login.credentials())}


def chat(worker: DirectWorker, **changes: Any) -> httpx.Response:
    """One chat completion."""
    return httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={**BODY, **changes},
        headers=HEADERS,
        timeout=TIMEOUT_SECONDS,
    )


def chats(
    worker: DirectWorker, count: int, *, hang_up_first_after: float | None = None
) -> Counter[int | str]:
    """Chat completions all at once; returns how often which status came. The first client may hang up."""

    async def one(client: httpx.AsyncClient, number: int) -> int | str:
        timeout = TIMEOUT_SECONDS
        if number == 0 and hang_up_first_after is not None:
            timeout = hang_up_first_after
        elif hang_up_first_after is not None:
            await asyncio.sleep(hang_up_first_after / 2)
        try:
            response = await client.post(
                f"{worker.openai_base_url}/chat/completions", json=BODY, headers=HEADERS, timeout=timeout
            )
        except httpx.TimeoutException:
            return "hung up"
        return response.status_code

    async def everyone() -> list[int | str]:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:
            return await asyncio.gather(*(one(client, number) for number in range(count)))

    return Counter(asyncio.run(everyone()))


def health(worker: DirectWorker) -> dict[str, Any]:
    """What /health tells an operator about the credential."""
    response = httpx.get(f"{worker.base_url}/health", headers=HEADERS, timeout=TIMEOUT_SECONDS)
    credentials: dict[str, Any] = response.json()["credentials"]
    return credentials


def record(worker: DirectWorker) -> dict[str, Any]:
    """The login that KV holds."""
    value: dict[str, Any] = json.loads(worker.kv_get(RECORD_KEY) or "{}")
    return value


def eventually(condition: Callable[[], bool], within_seconds: float = 10.0) -> None:
    """Waits for background work to show."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def code_of(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, error code, and the header that tells the SDKs whether to retry."""
    return (
        response.status_code,
        response.json()["error"]["code"],
        response.headers.get("x-should-retry"),
    )


def test_100_requests_with_an_expired_token_cause_one_refresh(
    start_direct_worker: StartDirectWorker, expired: Login
) -> None:
    before = expired.credentials()
    worker = start_direct_worker(secret(expired))
    assert chats(worker, 100) == {200: 100}
    assert (expired.refreshes, expired.refused_refreshes) == (1, 0)
    assert record(worker)["refresh_token"] == expired.refresh_token

    description = health(worker)
    assert (description["state"], description["source"], description["kv_bound"]) == ("ready", "memory", True)
    assert description["last_refresh"]["result"] == "ok"
    assert {"token source", "token validity", "base URL resolved", "token refreshed"} <= {
        event["event"] for event in worker.events()
    }
    shown = worker.log.text() + json.dumps(description)
    for login in (before, expired.credentials()):
        assert str(login["access_token"]) not in shown
        assert str(login["refresh_token"]) not in shown


def test_the_leader_hangs_up_and_nobody_else_notices(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator, expired: Login
) -> None:
    worker = start_direct_worker({**secret(expired), "LOG_LEVEL": "info"})
    httpx.get(f"{worker.base_url}/health")
    simulator.faults.add({"delay_before_headers_ms": 1500}, endpoint="token", credential=expired.name)
    assert chats(worker, 100, hang_up_first_after=0.5) == {200: 99, "hung up": 1}
    assert (expired.refreshes, expired.refused_refreshes) == (1, 0)


def test_a_refresh_whose_only_client_has_hung_up_is_kept(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator, expired: Login
) -> None:
    worker = start_direct_worker(secret(expired))
    httpx.get(f"{worker.base_url}/health")
    simulator.faults.add({"delay_before_headers_ms": 1000}, endpoint="token", credential=expired.name)
    assert chats(worker, 1, hang_up_first_after=0.5) == {"hung up": 1}
    eventually(lambda: record(worker).get("refresh_token") == expired.refresh_token)
    assert chat(worker).status_code == 200
    assert (expired.refreshes, expired.refused_refreshes) == (1, 0)


def test_a_token_near_its_expiry_is_refreshed_in_the_background(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> None:
    login = simulator.create_login(access_token_seconds=600)
    old = login.access_token
    worker = start_direct_worker(secret(login))
    with login.refresh_held():
        assert chats(worker, 20) == {200: 20}
        assert chat(worker).status_code == 200
    assert [request.bearer for request in simulator.recorder.requests("chat", login.name)] == [old] * 21
    eventually(lambda: login.refreshes == 1 and record(worker).get("access_token") == login.access_token)
    assert chat(worker).status_code == 200
    assert (login.refreshes, login.refused_refreshes) == (1, 0)
    assert len(simulator.recorder.requests("token", login.name)) == 1, "a refresh has been given up"


def test_a_token_revoked_before_its_expiry_costs_one_refresh_and_one_retry(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> None:
    login = simulator.create_login()
    worker = start_direct_worker(secret(login))
    assert chat(worker).status_code == 200
    login.revoke_access_tokens()
    assert chat(worker, simulate={"key": "revoked-1"}).status_code == 200
    assert [request.status for request in simulator.find("revoked-1")] == [401, 200]
    assert (login.refreshes, login.refused_refreshes) == (1, 0)


def test_a_closed_oauth_tier_is_told_once_and_for_all(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> None:
    login = simulator.create_login()
    login.closed_tier = True
    worker = start_direct_worker(secret(login))
    for _ in range(3):
        response = chat(worker)
        assert code_of(response) == (503, "oauth_discontinued", "false")
        message = response.json()["error"]["message"]
        assert all(word in message for word in ("2026-04-15", "QWEN_API_KEY", "QWEN_BASE_URL"))
    assert login.refreshes == 1


def test_a_changed_secret_is_used_at_once_though_kv_holds_the_old_login(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator, expired: Login, tmp_path: Path
) -> None:
    before = start_direct_worker(secret(expired), state=tmp_path)
    assert chat(before).status_code == 200
    before.stop()
    other = simulator.create_login()
    after = start_direct_worker(secret(other), state=tmp_path)
    assert chat(after, simulate={"key": "changed-1"}).status_code == 200
    assert [request.credential for request in simulator.find("changed-1")] == [other.name]
    assert record(after)["refresh_token"] == expired.refresh_token


def test_a_restart_with_persisted_kv_needs_no_refresh(
    start_direct_worker: StartDirectWorker, expired: Login, tmp_path: Path
) -> None:
    before = start_direct_worker(secret(expired), state=tmp_path)
    credentials = secret(expired)
    assert chat(before).status_code == 200
    before.stop()
    after = start_direct_worker(credentials, state=tmp_path)
    assert chat(after).status_code == 200
    assert health(after)["source"] == "kv"
    assert (expired.refreshes, expired.refused_refreshes) == (1, 0)


def test_a_corrupt_record_falls_back_to_the_secret_and_is_replaced(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> None:
    login = simulator.create_login()
    worker = start_direct_worker(secret(login))
    worker.kv_put(RECORD_KEY, "not json")
    assert chat(worker).status_code == 200
    eventually(lambda: worker.kv_get(RECORD_KEY) != "not json")
    assert record(worker)["refresh_token"] == login.refresh_token
    assert worker.events("stored login is corrupt")


def test_a_failing_kv_write_is_repeated_while_the_requests_succeed(
    start_direct_worker: StartDirectWorker, expired: Login
) -> None:
    worker = start_direct_worker(secret(expired), faulty_kv=True)
    worker.set_kv_faults(KvFaults(errors={"put": {"message": "KV PUT failed: 429", "times": 2}}))
    assert chats(worker, 10) == {200: 10}
    assert worker.events("KV failed", operation="write")
    eventually(lambda: record(worker).get("refresh_token") == expired.refresh_token)
    assert (expired.refreshes, expired.refused_refreshes) == (1, 0)
    reads = [step for step in worker.kv_operations() if step == {"operation": "get", "key": RECORD_KEY}]
    assert len(reads) <= 3


def test_a_dead_refresh_token_is_a_503_without_a_storm(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator, expired: Login
) -> None:
    worker = start_direct_worker(secret(expired))
    expired.kill()
    assert chats(worker, 50) == {503: 50}
    for _ in range(20):
        assert code_of(chat(worker)) == (503, "credentials_rejected", "false")
    assert expired.refused_refreshes == 1
    assert health(worker)["state"] == "rejected"
    other = simulator.create_login()
    worker.kv_put(RECORD_KEY, json.dumps(other.credentials()))
    assert chat(worker).status_code == 200


def test_a_lost_race_is_healed_by_the_winners_login(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator, expired: Login, tmp_path: Path
) -> None:
    """KV still shows the record from before the winner's refresh; the successor's key leads to the winner's
    login.
    """
    credentials = secret(expired)
    winner = start_direct_worker(credentials, state=tmp_path)
    assert chat(winner).status_code == 200
    winner.stop()
    loser = start_direct_worker(credentials, state=tmp_path)
    loser.kv_delete(RECORD_KEY)
    assert chat(loser).status_code == 200
    assert (expired.refreshes, expired.refused_refreshes) == (1, 1)


def test_a_passing_fault_of_the_token_endpoint_is_retried(
    start_direct_worker: StartDirectWorker, simulator: QwenSimulator, expired: Login
) -> None:
    worker = start_direct_worker(secret(expired))
    for fault in ("oauth_504_html", "oauth_200_captcha"):
        simulator.faults.add(fault, endpoint="token", credential=expired.name)
    assert chats(worker, 20) == {200: 20}
    assert (expired.refreshes, expired.refused_refreshes) == (1, 0)
