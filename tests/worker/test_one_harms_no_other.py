"""What one request, or one account, must not do to the others: on the real workerd, with several accounts."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker

QUOTED = "What do Arrearage, AllocationQuota.FreeTierOnly and insufficient_quota mean?"


class Gateway:
    """Two logins and a key, equals."""

    def __init__(self, worker: DirectWorker, simulator: QwenSimulator) -> None:
        self.worker = worker
        self._simulator = simulator
        self._count = 0

    def ask(self, simulate: Any = None, *, stream: bool = False) -> httpx.Response:
        self._count += 1
        self.key = f"harm {self.worker.base_url} {self._count}"
        fault = simulate if isinstance(simulate, dict) else {"name": simulate} if simulate else {}
        body = {
            "messages": [{"role": "user", "content": f"Question {self._count}"}],
            "stream": stream,
            "simulate": {**fault, "key": self.key},
        }
        return httpx.post(
            f"{self.worker.openai_base_url}/chat/completions",
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
            json=body,
            timeout=40,
        )

    @property
    def asked(self) -> list[str | None]:
        """Who was called for the last request."""
        return [request.credential for request in self._simulator.find(self.key)]

    def states(self) -> set[str]:
        health = httpx.get(
            f"{self.worker.base_url}/health", headers={"authorization": f"Bearer {CLIENT_KEY}"}, timeout=40
        )
        return {account["state"] for account in health.json()["accounts"]}


@pytest.fixture
def gateway(simulator: QwenSimulator, start_direct_worker: StartDirectWorker) -> Gateway:
    logins = [simulator.create_login().credentials() for _ in range(2)]
    key = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url}
    accounts: list[Any] = [*logins, key]
    equal = [{**account, "priority": 1} for account in accounts]
    variables = {"QWEN_CLI_AUTH": json.dumps(equal[:2]), "QWEN_API_KEY": json.dumps(equal[2])}
    return Gateway(start_direct_worker(variables), simulator)


@pytest.mark.parametrize(
    "evil",
    [
        "captcha_200",
        "forbidden",
        "invalid_api_key",
        {"status": 200, "body": {"message": f"Rejected: {QUOTED}"}},
    ],
    ids=str,
)
def test_a_request_that_fails_everywhere_gets_nobody_else_refused(gateway: Gateway, evil: Any) -> None:
    for stream in (False, True):
        assert gateway.ask(evil, stream=stream).status_code >= 400
        assert len(set(gateway.asked)) == 3
        for _ in range(2):
            assert gateway.ask(stream=stream).status_code == 200
            assert len(gateway.asked) == 1
    assert gateway.states() == {"ready"}


def test_a_prompt_that_is_quoted_is_the_clients_mistake_alone(gateway: Gateway) -> None:
    error = {"code": "invalid_parameter_error", "message": f"Invalid content: {QUOTED}"}

    response = gateway.ask({"status": 400, "body": {"error": error}})

    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_parameter_error")
    assert len(gateway.asked) == 1
    assert gateway.states() == {"ready"}


def test_a_mended_base_url_ends_the_cooldown_that_the_wrong_one_caused(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker, tmp_path: Path
) -> None:
    login = simulator.create_login()
    first = {"api_key": DEFAULT_API_KEY, "priority": 1}
    variables = {
        "QWEN_API_KEY": json.dumps(first),
        "QWEN_CLI_AUTH": json.dumps({**login.credentials(), "priority": 2}),
    }

    def run(base_url: str, simulate: Any, asked: list[str]) -> None:
        worker = start_direct_worker({**variables, "QWEN_BASE_URL": base_url}, state=tmp_path)
        gateway = Gateway(worker, simulator)
        assert gateway.ask(simulate).status_code == 200
        assert gateway.asked == asked
        deadline = time.monotonic() + 5
        while "qwen_account_cooldowns" not in worker.kv_keys() and time.monotonic() < deadline:
            time.sleep(0.05)
        worker.stop()

    wrong, right = f"{simulator.url}/wrong/v1", simulator.api_url
    refusal = {"name": "forbidden", "only_for": [DEFAULT_API_KEY]}
    run(wrong, refusal, [DEFAULT_API_KEY, login.name])
    run(wrong, None, [login.name])
    run(right, None, [DEFAULT_API_KEY])


def test_a_refused_key_keeps_qwens_words_and_not_the_key(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker
) -> None:
    """Whatever field quotes it, in the response and in a log that tells everything."""
    variables = {"QWEN_API_KEY": DEFAULT_API_KEY, "QWEN_BASE_URL": simulator.api_url, "LOG_LEVEL": "debug"}
    gateway = Gateway(start_direct_worker(variables, credentials=False), simulator)
    key = DEFAULT_API_KEY.swapcase()
    quoting = {
        "message": f"The key {key} has no access: ask example.org.",
        "code": key,
        "type": key,
        "param": key,
    }
    for status in (401, 403, 400, 200):
        for headers in ({}, {"x-request-id": key, "retry-after": key, "x-ratelimit-limit-tokens": key}):
            fault = {"status": status, "body": {"error": quoting, "request_id": key}, "headers": headers}
            response = gateway.ask(fault)
            assert response.status_code >= 400
            assert "ask example.org" in response.json()["error"]["message"]
            assert DEFAULT_API_KEY.lower() not in (response.text + str(response.headers)).lower()
    response = gateway.ask({"name": "forbidden", "headers": {"x-request-id": "qwen-77"}})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "credentials_rejected")
    assert "Access denied." in response.json()["error"]["message"]
    assert response.json()["error"]["upstream_request_id"]
    assert DEFAULT_API_KEY.lower() not in gateway.worker.log.text().lower()


def test_a_plan_that_refuses_this_client_is_told_and_serves_others(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker
) -> None:
    login = simulator.create_login()
    variables = {
        "QWEN_API_KEY": json.dumps(
            {"api_key": DEFAULT_API_KEY, "priority": 1, "base_url": simulator.api_url}
        ),
        "QWEN_CLI_AUTH": json.dumps({**login.credentials(), "priority": 2}),
    }
    gateway = Gateway(start_direct_worker(variables), simulator)
    words = "Coding Plan is currently only available for Coding Agents"
    refusal = {"status": 405, "body": {"error": words}}

    assert gateway.ask({**refusal, "only_for": [DEFAULT_API_KEY]}).status_code == 200
    assert gateway.asked == [DEFAULT_API_KEY, login.name]
    assert gateway.ask().status_code == 200
    assert gateway.asked == [DEFAULT_API_KEY], "another client may be welcome there"

    error = gateway.ask(refusal).json()["error"]
    assert error["code"] == "client_not_allowed"
    assert words in error["message"]
