"""Logins that are made at the gateway, on the real workerd and its KV, against the simulator's Qwen."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.oauth import Login
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker, KvFaults

ADMIN = "test-admin-key"
BODY = {"model": "qwen3-coder-plus", "messages": [{"role": "user", "content": "Say hello."}]}


class Gateway:
    """A Worker without an account, its admin and a client."""

    def __init__(self, worker: DirectWorker, simulator: QwenSimulator) -> None:
        self.worker = worker
        self._simulator = simulator
        self._http = httpx.Client(base_url=worker.base_url, timeout=40, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, *, key: str | None = ADMIN, **request: Any) -> httpx.Response:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return self._http.request(method, path, headers=headers, **request)

    def chat(self, key: str | None = CLIENT_KEY) -> httpx.Response:
        return self.ask("POST", "/v1/chat/completions", key=key, json=BODY)

    def begin(self, **body: Any) -> dict[str, Any]:
        response = self.ask("POST", "/v1/logins", json=body)
        assert response.status_code == 201, response.text
        begun: dict[str, Any] = response.json()
        return begun

    def status(self, login: dict[str, Any]) -> str:
        response = self.ask("GET", f"/v1/logins/{login['id']}")
        assert response.status_code == 200, response.text
        status: str = response.json()["status"]
        return status

    def log_in(self, **body: Any) -> dict[str, Any]:
        """A login that the user approves on Qwen's page."""
        begun = self.begin(**body)
        httpx.post(
            begun["verification_uri"],
            data={"user_code": begun["user_code"], "decision": "approve"},
            trust_env=False,
        )
        assert self.status(begun) == "active"
        return begun

    @property
    def labels(self) -> list[str]:
        return [login["label"] for login in self.ask("GET", "/v1/logins").json()["data"]]

    @property
    def lasting_keys(self) -> list[str]:
        """What KV has, but for the pending logins, which expire."""
        return sorted(key for key in self.worker.kv_keys() if ":pending:" not in key)

    def accounts(self) -> dict[str, dict[str, Any]]:
        accounts = self.ask("GET", "/health").json()["accounts"]
        return {account["label"]: account for account in accounts}

    def simulated(self, login: dict[str, Any]) -> Login:
        """What the simulator has of a login."""
        identity = json.loads(self.worker.kv_get("qwen_logins") or "")["logins"][login["id"]]["identity"]
        record = json.loads(self.worker.kv_get(f"qwen_oauth_credentials:account:{identity}") or "")
        found = self._simulator.oauth.login_of_refresh_token(record["refresh_token"])
        assert found is not None
        return found


def eventually(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


Start = Callable[..., Gateway]


@pytest.fixture
def start(start_direct_worker: StartDirectWorker, simulator: QwenSimulator) -> Iterator[Start]:
    """Starts a gateway with ADMIN_KEY, and no account among the variables but those that are given."""
    running: list[Gateway] = []

    def start_one(variables: dict[str, str | None] | None = None, **options: Any) -> Gateway:
        changes = {"ADMIN_KEY": ADMIN, **(variables or {})}
        running.append(Gateway(start_direct_worker(changes, credentials=False, **options), simulator))
        return running[-1]

    yield start_one
    for gateway in running:
        gateway.close()


def test_an_open_gateway_is_set_up_by_a_login_alone(start: Start, simulator: QwenSimulator) -> None:
    gateway = start({"OPENAI_API_KEY": None})
    health = gateway.ask("GET", "/health", key=None).json()
    assert (health["status"], "none yet" in health["reasons"][0]) == ("degraded", True)
    assert gateway.chat(None).json()["error"]["code"] == "credentials_missing"
    assert gateway.ask("POST", "/v1/logins", key=None, json={}).status_code == 401

    begun = gateway.begin(label="mine")
    assert begun["verification_uri_complete"].startswith(f"{simulator.url}/authorize?user_code=")
    assert gateway.status(begun) == "pending"
    simulator.oauth.approve(begun["user_code"])
    assert gateway.status(begun) == "pending", "Qwen is not asked before the interval is over"
    assert simulator.oauth.device_flow.code(begun["user_code"]).polls == 1

    login = gateway.log_in(label="second")
    answer = gateway.chat(None)
    assert (answer.status_code, answer.headers["x-qwen-account"]) == (200, "second")
    assert gateway.ask("GET", "/health", key=None).json()["status"] == "ok"
    assert gateway.accounts()["second"]["login_id"] == login["id"]
    assert "login added" in gateway.worker.log.text()
    assert gateway.simulated(login).access_token not in gateway.worker.log.text()


def test_what_does_not_become_an_account_and_what_does_although_kv_fails(
    start: Start, simulator: QwenSimulator
) -> None:
    gateway = start(faulty_kv=True)
    client = gateway.ask("POST", "/v1/logins", key=CLIENT_KEY, json={})
    assert (client.status_code, client.json()["error"]["code"]) == (403, "admin_key_required")
    denied, expired, closed, refused = (gateway.begin() for _ in range(4))
    assert [login["label"] for login in (denied, expired, closed)] == ["login-1", "login-2", "login-3"]
    simulator.oauth.deny(denied["user_code"])
    simulator.oauth.expire(expired["user_code"])
    simulator.faults.add("oauth_tier_closed", endpoint="token", credential=closed["user_code"])
    assert [gateway.status(login) for login in (denied, expired, closed)] == ["denied", "expired", "closed"]
    simulator.oauth.closed_tier = True
    try:
        simulator.oauth.approve(refused["user_code"])
        assert gateway.status(refused) == "closed"
    finally:
        simulator.oauth.closed_tier = False
    assert gateway.labels == []
    assert gateway.lasting_keys == []

    begun = gateway.begin(label="mine")
    simulator.oauth.approve(begun["user_code"])
    faults = KvFaults(errors={"put": {"message": "KV is down", "times": 2}}, delays_ms={"put": 400})
    gateway.worker.set_kv_faults(faults)
    with pytest.raises(httpx.TimeoutException):  # the admin leaves
        gateway.ask("GET", f"/v1/logins/{begun['id']}", timeout=0.2)
    eventually(lambda: gateway.status(begun) == "active")
    assert gateway.chat().headers["x-qwen-account"] == "mine"
    eventually(lambda: len(gateway.lasting_keys) == 2)
    assert gateway.simulated(begun).refused_refreshes == 0


def test_isolates_share_rename_and_remove_logins_and_a_secret_wins(start: Start, tmp_path: Path) -> None:
    first, second = start(state=tmp_path), start(state=tmp_path)
    login, other = first.log_in(label="mine"), first.log_in(label="other")
    assert second.labels == ["mine", "other"]
    assert second.chat().headers["x-qwen-account"] in ("mine", "other")
    clash = second.ask("POST", f"/v1/logins/{login['id']}", json={"label": "other"})
    assert (clash.status_code, clash.json()["error"]["param"]) == (400, "label")
    assert second.ask("POST", f"/v1/logins/{login['id']}", json={"label": "new"}).json()["label"] == "new"
    assert second.ask("DELETE", f"/v1/logins/{other['id']}").json()["deleted"] is True
    assert second.chat().headers["x-qwen-account"] == "new"
    assert first.labels == ["new"]
    assert first.chat().headers["x-qwen-account"] == "new"
    secret = first.simulated(login).credentials()

    third = start({"QWEN_CLI_AUTH": json.dumps({**secret, "label": "secret"})}, state=tmp_path)
    assert third.chat().headers["x-qwen-account"] == "secret"
    assert third.labels == ["new"]
    assert list(third.accounts()) == ["secret"]

    assert second.ask("DELETE", f"/v1/logins/{login['id']}").status_code == 200
    assert second.chat().json()["error"]["code"] == "credentials_missing"
    assert second.lasting_keys == ["qwen_logins"]
