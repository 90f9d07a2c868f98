"""Several accounts on the real workerd: three simulated ones, and a client that does not notice which one
answers.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker

MODEL = "qwen3-coder-plus"
RECORD_KEY = "qwen_oauth_credentials"
LABELS = ["first", "second", "third"]


class Accounts:
    """Two logins and a key: `first` and `second` are tried before `third`, or all three are equals."""

    def __init__(self, simulator: QwenSimulator, *, equals: bool = False, expired: bool = False) -> None:
        lifetime = -60.0 if expired else None
        self.logins = [simulator.create_login(access_token_seconds=lifetime) for _ in range(2)]
        self.names = [*(login.name for login in self.logins), DEFAULT_API_KEY]
        """What the simulator knows them as."""
        self._priorities = [1, 1, 1] if equals else [1, 2, 3]
        self._key = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url}

    def variables(self, *, is_reversed: bool = False) -> dict[str, str | None]:
        """A Worker's variables; in reverse the second login stands in the first place."""
        logins = [
            {**login.credentials(), **self._members(number)} for number, login in enumerate(self.logins)
        ]
        return {
            "QWEN_CLI_AUTH": json.dumps(logins[::-1] if is_reversed else logins),
            "QWEN_API_KEY": json.dumps({**self._key, **self._members(2)}),
        }

    def _members(self, number: int) -> dict[str, Any]:
        return {"label": LABELS[number], "priority": self._priorities[number]}


class Client:
    """The OpenAI SDK without retries in front of a Worker, and what its requests led to at Qwen."""

    def __init__(self, worker: DirectWorker, simulator: QwenSimulator, accounts: Accounts) -> None:
        self.worker = worker
        self.accounts = accounts
        self._simulator = simulator
        self._openai = OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0)
        self._key = ""

    def close(self) -> None:
        self._openai.close()

    def chat(self, fault: Any = None, *, for_accounts: list[int] | None = None, stream: bool = False) -> Any:
        """A completion, or a stream's chunks as (text, finish reason); `fault` strikes at some accounts."""
        named = fault if isinstance(fault, dict) else ({} if fault is None else {"name": fault})
        self._key = f"accounts-{id(self)}-{len(self._simulator.chats)}"
        only_for = [self.accounts.names[number] for number in for_accounts or []]
        simulate = {**named, "key": self._key, **({"only_for": only_for} if only_for else {})}
        raw = self._openai.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Say hello."}],
            stream=stream,
            extra_body={"simulate": simulate},
        )
        self.account = raw.headers.get("x-qwen-account")
        return raw.parse()

    def error(self, fault: Any, **arguments: Any) -> openai.APIStatusError:
        """The exception that a completion raises."""
        with pytest.raises(openai.APIStatusError) as raised:
            self.chat(fault, **arguments)
        return raised.value

    @property
    def asked(self) -> list[str]:
        """The labels of the accounts that the last request was sent with."""
        names = self.accounts.names
        return [LABELS[names.index(request.credential or "")] for request in self._simulator.find(self._key)]

    def health(self) -> dict[str, dict[str, Any]]:
        """The accounts by label."""
        response = httpx.get(
            f"{self.worker.base_url}/health", headers={"authorization": f"Bearer {CLIENT_KEY}"}, timeout=40
        )
        return {account["label"]: account for account in response.json()["accounts"]}


@pytest.fixture
def accounts(simulator: QwenSimulator) -> Accounts:
    return Accounts(simulator)


@pytest.fixture
def client(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker, accounts: Accounts
) -> Iterator[Client]:
    """A client of a Worker with these accounts."""
    running = Client(start_direct_worker(accounts.variables()), simulator, accounts)
    yield running
    running.close()


def content(chunks: Any) -> tuple[str, str | None]:
    """The text of a stream, and its finish reason."""
    text, finish_reason = "", None
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish_reason = choice.finish_reason or finish_reason
    return text, finish_reason


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_quota_on_the_first_and_the_second_answers(client: Client, stream: bool) -> None:
    answer = client.chat("insufficient_quota_daily", for_accounts=[0], stream=stream)
    assert content(answer)[1] == "stop" if stream else answer.choices[0].message.content
    assert client.asked == ["first", "second"]
    assert client.account == "second"
    client.chat()
    assert client.asked == ["second"]
    health = client.health()
    assert [(health[label]["state"], health[label]["reason"]) for label in LABELS] == [
        ("cooldown", "quota"),
        ("ready", None),
        ("ready", None),
    ]
    assert 800 < health["first"]["seconds_left"] <= 900
    assert client.worker.events("account in cooldown", account="first", reason="quota")
    assert client.worker.events("upstream response", account="second", status=200)


def test_all_exhausted_is_a_429_that_stops_retries(client: Client) -> None:
    error = client.error("insufficient_quota_daily")
    assert (error.status_code, error.code) == (429, "insufficient_quota")
    assert error.response.headers["x-should-retry"] == "false"
    assert client.asked == LABELS
    again = client.error(None)
    assert (again.status_code, again.code) == (429, "insufficient_quota")
    assert client.asked == []


def test_all_limited_is_a_429_with_an_honest_time(client: Client) -> None:
    error = client.error({"name": "rate_limit_retry_after", "headers": {"Retry-After": "30"}})
    assert (error.status_code, error.code) == (429, "rate_limit_exceeded")
    assert "x-should-retry" not in error.response.headers
    assert 25 <= int(error.response.headers["retry-after"]) <= 30
    again = client.error(None)
    assert (again.status_code, again.code) == (429, "rate_limit_exceeded")
    assert 20 <= int(again.response.headers["retry-after"]) <= 30
    assert client.asked == []


def test_a_dead_login_beside_a_healthy_key(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker
) -> None:
    accounts = Accounts(simulator, expired=True)
    for login in accounts.logins:
        login.kill()
    client = Client(start_direct_worker(accounts.variables()), simulator, accounts)
    assert client.chat().choices[0].message.content
    assert client.asked == ["third"]
    health = client.health()
    for label in ("first", "second"):
        assert (health[label]["state"], health[label]["reason"]) == ("cooldown", "credentials")
        assert health[label]["credentials"]["state"] == "rejected"
    refused = sum(login.refused_refreshes for login in accounts.logins)
    for _ in range(5):
        client.chat()
        assert client.asked == ["third"]
    assert sum(login.refused_refreshes for login in accounts.logins) == refused
    client.close()


@pytest.mark.parametrize("alike", [True, False], ids=["the same request", "conversations"])
def test_a_hundred_requests_at_once_are_spread_fairly(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker, alike: bool
) -> None:
    accounts = Accounts(simulator, equals=True)
    worker = start_direct_worker(accounts.variables())

    async def one(client: AsyncOpenAI, number: int) -> str:
        raw = await client.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Say hello." if alike else f"Question {number}"}],
        )
        return str(raw.headers["x-qwen-account"])

    async def everyone() -> Counter[str]:
        async with AsyncOpenAI(
            base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0, timeout=40
        ) as client:
            return Counter(await asyncio.gather(*(one(client, number) for number in range(100))))

    served = asyncio.run(everyone())
    assert sum(served.values()) == 100
    assert all(25 <= served[label] <= 42 for label in LABELS), served


def test_a_conversation_stays_on_one_account(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker
) -> None:
    accounts = Accounts(simulator, equals=True)
    client = Client(start_direct_worker(accounts.variables()), simulator, accounts)
    asked = []
    for _ in range(6):
        client.chat()
        asked += client.asked
    assert len(asked) == 6
    assert len(set(asked)) == 1
    client.close()


def test_a_clients_error_touches_one_account_only(client: Client) -> None:
    for mistake in ("bad_request", "context_length", "data_inspection_failed"):
        for stream in (False, True):
            assert client.error(mistake, stream=stream).status_code == 400
            assert client.asked == ["first"]
    assert {account["state"] for account in client.health().values()} == {"ready"}


@pytest.mark.parametrize(
    "fault",
    [
        "error_finish_first",
        "error_event_first",
        "captcha_200",
        "connection_reset",
        {"abort_after": 0},
    ],
    ids=str,
)
def test_a_stream_moves_on_before_the_first_byte(client: Client, fault: Any) -> None:
    text, finish_reason = content(client.chat(fault, for_accounts=[0], stream=True))
    assert text
    assert finish_reason == "stop"
    assert client.account == "second"
    assert client.asked == ["first", "second"]


def test_after_the_first_byte_there_is_an_honest_error_and_no_other_account(client: Client) -> None:
    with pytest.raises(openai.APIError) as raised:
        content(client.chat({"abort_after": 3}, for_accounts=[0], stream=True))
    assert raised.value.code == "stream_failed"
    assert client.asked == ["first"]


def test_an_isolate_to_come_knows_of_a_quota(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker, accounts: Accounts, tmp_path: Path
) -> None:
    first = Client(start_direct_worker(accounts.variables(), state=tmp_path), simulator, accounts)
    first.chat("insufficient_quota_daily", for_accounts=[0])
    first.close()
    assert "qwen_account_cooldowns" in first.worker.kv_keys()
    first.worker.stop()
    second = Client(start_direct_worker(accounts.variables(), state=tmp_path), simulator, accounts)
    second.chat()
    assert second.asked == ["second"]
    assert second.health()["first"]["reason"] == "quota"
    second.close()


def test_each_login_has_its_own_record_wherever_it_stands(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker, tmp_path: Path
) -> None:
    """The logins were configured long ago: only KV knows the tokens that work."""
    accounts = Accounts(simulator, expired=True)
    for is_reversed in (False, True, False):
        variables = accounts.variables(is_reversed=is_reversed)
        client = Client(start_direct_worker(variables, state=tmp_path), simulator, accounts)
        client.chat("insufficient_quota_daily", for_accounts=[0])
        assert client.account == "second"
        records = [client.worker.kv_get(key) or "" for key in client.worker.kv_keys()]
        for login in accounts.logins:
            assert any(login.refresh_token in record for record in records)
            login.revoke_access_tokens()
        assert RECORD_KEY in client.worker.kv_keys()
        client.worker.kv_delete("qwen_account_cooldowns")
        client.close()
        client.worker.stop()
    assert [login.refused_refreshes for login in accounts.logins] == [0, 0]


def test_one_account_asks_kv_no_more_than_before(start_direct_worker: StartDirectWorker) -> None:
    worker = start_direct_worker(faulty_kv=True)
    for fault, status in (("insufficient_quota_daily", 429), (None, 200), (None, 200)):
        body = {"messages": [{"role": "user", "content": "Say hello."}]}
        response = httpx.post(
            f"{worker.openai_base_url}/chat/completions",
            json={**body, "simulate": fault} if fault else body,
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
            timeout=40,
        )
        assert response.status_code == status
    assert [operation["key"] for operation in worker.kv_operations()] == [RECORD_KEY]
