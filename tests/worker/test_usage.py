"""Usage on the real workerd and its D1: what is counted, kept, limited and shown."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.server import QwenSimulator
from tests.worker.conftest import StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker

LABELS = ("alice", "bob", "carol", "dave", "erin")
MODELS = ("qwen3-coder-plus", "qwen3-coder-flash", "qwen3-max")
ADMIN = "test-admin-key"
VARIABLES: dict[str, str | None] = {
    "OPENAI_API_KEY": None,
    "CLIENT_KEYS": ", ".join(f"{label}=test-key-{label}" for label in LABELS),
    "ADMIN_KEY": ADMIN,
    "QWEN_MODELS": ",".join(MODELS),
    "LOG_LEVEL": "info",
}
HELD_SECONDS = 10.0
"""How long counts are gathered before they are written (usage/writer.py)."""


class Client:
    """Asks a Worker with one of the keys."""

    def __init__(self, worker: DirectWorker) -> None:
        self.worker = worker
        self._http = httpx.Client(base_url=worker.base_url, timeout=30, trust_env=False)

    def ask(self, key: str, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", **request.pop("headers", {})}
        return self._http.request(method, path, headers=headers, **request)

    def chat(self, label: str, model: str = MODELS[0], **body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": "Say hello to the world."}]
        return self.ask(
            f"test-key-{label}",
            "POST",
            "/v1/chat/completions",
            json={"model": model, "messages": messages, **body},
        )

    def usage(self, key: str = ADMIN, query: str = "by=key") -> dict[str, Any]:
        response = self.ask(key, "GET", f"/v1/usage?{query}")
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def close(self) -> None:
        self._http.close()


StartClient = Callable[..., Client]


@pytest.fixture
def start(start_direct_worker: StartDirectWorker) -> Iterator[StartClient]:
    """Starts a Worker with five keys and a client of it."""
    clients: list[Client] = []

    def start_one(variables: dict[str, str | None] | None = None, **options: Any) -> Client:
        clients.append(Client(start_direct_worker({**VARIABLES, **(variables or {})}, **options)))
        return clients[-1]

    yield start_one
    for client in clients:
        client.close()


def eventually(check: Callable[[], bool], seconds: float = 3 * HELD_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.timeout(180)
def test_a_thousand_requests_over_three_processes_add_up_exactly(start: StartClient, tmp_path: Path) -> None:
    chance = random.Random(16)
    expected: Counter[tuple[str, str, str]] = Counter()
    for _ in range(3):
        client = start(state=tmp_path)
        asked = [
            (chance.choice(LABELS), chance.choice(MODELS), chance.choice(("whole", "stream", "told")))
            for _ in range(334)
        ]

        def ask(place: tuple[str, str, str], client: Client = client) -> None:
            label, model, way = place
            options = {"stream_options": {"include_usage": True}} if way == "told" else {}
            response = client.chat(label, model, stream=way != "whole", **options)
            assert response.status_code == 200, response.text

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, asked))
        expected.update(asked)
        # What this process has not written yet would be lost with it: its own answer shows that it was.
        assert client.usage()["total"]["requests"] == expected.total()
        client.worker.stop()

    client = start(state=tmp_path)
    rows = client.usage(query="by=key,model,api")["data"]
    counted = {(row["key"], row["model"]): row for row in rows}
    assert {row["api"] for row in rows} == {"chat"}
    for label in LABELS:
        for model in MODELS:
            row = counted[label, model]
            ways = {way: expected[label, model, way] for way in ("whole", "stream", "told")}
            assert row["requests"] == row["completed"] == sum(ways.values())
            assert row["streams"] == ways["stream"] + ways["told"]
            # The simulated Qwen answers all alike.
            told = ways["whole"] + ways["told"]
            assert row["input_tokens"] == told * _tokens(counted, expected, "input_tokens")
            assert (row["estimated_output_tokens"] > 0) == (ways["stream"] > 0)
    days = client.usage(query="by=day")["data"]
    assert sum(row["requests"] for row in days) == 3 * 334


def _tokens(
    counted: dict[tuple[str, str], dict[str, Any]], expected: Counter[tuple[str, str, str]], column: str
) -> float:
    """How many tokens one request is told to take."""
    (label, model), row = next(iter(counted.items()))
    told = expected[label, model, "whole"] + expected[label, model, "told"]
    tokens: int = row[column]
    return tokens / told


def test_counts_are_written_in_the_background_without_another_request(start: StartClient) -> None:
    client = start()
    for label in ("alice", "bob", "alice"):
        assert client.chat(label, stream=True).status_code == 200
    time.sleep(HELD_SECONDS + 1)
    rows = client.worker.query("SELECT client, SUM(requests) AS requests FROM usage GROUP BY 1 ORDER BY 1")
    assert rows == [{"client": "alice", "requests": 2}, {"client": "bob", "requests": 1}]
    assert client.worker.query("SELECT version FROM usage_schema") == [{"version": 1}]


def test_a_client_that_hangs_up_in_mid_stream_is_counted(
    start: StartClient, simulator: QwenSimulator
) -> None:
    client = start()
    body = {
        "model": MODELS[0],
        "stream": True,
        "messages": [{"role": "user", "content": "Say hello."}],
        "simulate": {"name": "stall_mid_stream"},
    }
    headers = {"authorization": "Bearer test-key-alice"}
    url = f"{client.worker.openai_base_url}/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, trust_env=False) as response:
        assert response.status_code == 200
        next(response.iter_raw())
    time.sleep(0.5)

    [row] = client.usage("test-key-alice")["data"]
    assert (row["requests"], row["streams"], row["completed"]) == (1, 1, 0)


def test_a_key_sees_its_own_usage_and_the_admin_everybodys(start: StartClient) -> None:
    client = start({"PRICES": json.dumps({MODELS[0]: {"input": 1, "output": 5}})})
    for label, count in (("alice", 2), ("bob", 1)):
        for _ in range(count):
            client.chat(label)

    assert {row["key"]: row["requests"] for row in client.usage()["data"]} == {"alice": 2, "bob": 1}
    for label, count in (("alice", 2), ("bob", 1), ("carol", 0)):
        assert client.usage(f"test-key-{label}", "by=")["total"]["requests"] == count
    assert client.usage()["total"]["cost"] > 0
    assert client.chat("nobody").status_code == 401
    csv = client.ask(ADMIN, "GET", "/v1/usage?by=key", headers={"accept": "text/csv"}).text
    assert [line.split(",")[:2] for line in csv.splitlines()] == [
        ["key", "requests"],
        ["alice", "2"],
        ["bob", "1"],
    ]
    assert client.ask(ADMIN, "POST", "/v1/chat/completions", json={}).status_code == 403


@pytest.mark.parametrize("delay_ms", [0, 3_000], ids=["failing", "failing slowly"])
def test_a_failing_database_costs_no_request_and_loses_no_count(start: StartClient, delay_ms: int) -> None:
    client = start(database="faulty")
    client.worker.set_database_faults(error="D1_ERROR: simulated: SQLITE_ERROR", delay_ms=delay_ms)
    for _ in range(3):
        began = time.monotonic()
        assert client.chat("alice").status_code == 200
        assert time.monotonic() - began < 2
    eventually(lambda: bool(client.worker.events("usage was not written")))
    assert client.ask(ADMIN, "GET", "/v1/usage").status_code == 503

    client.worker.set_database_faults()
    client.chat("alice")
    eventually(lambda: bool(client.worker.database_calls()))
    eventually(lambda: client.usage("test-key-alice")["total"]["requests"] == 4)


def test_without_a_database_everything_else_works(start: StartClient) -> None:
    client = start(database="missing")
    assert client.chat("alice", stream=True).status_code == 200
    assert client.ask(ADMIN, "GET", "/v1/usage").json()["error"]["code"] == "usage_not_kept"
    assert "USAGE_DB" in client.ask("test-key-alice", "GET", "/health").json()["usage"]


@pytest.mark.parametrize("database", ["real", "missing"])
def test_limits_are_enforced(start: StartClient, database: str) -> None:
    limits = [
        {"key": "test-key-alice", "label": "alice", "tokens_per_day": 60},
        {"key": "test-key-bob", "label": "bob", "requests_per_minute": 2},
        {"key": "test-key-carol", "label": "carol", "expires": "2020-01-01"},
        {"key": "test-key-dave", "label": "dave", "models": ["qwen3-coder-*"]},
    ]
    client = start({"CLIENT_KEYS": json.dumps(limits)}, database=database)

    answers = [client.chat("alice") for _ in range(6)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert statuses == sorted(statuses)
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
    assert answers[0].headers["x-ratelimit-limit-tokens"] == "60"

    # A minute may turn over between two of them.
    assert [client.chat("bob").status_code for _ in range(5)].count(429) >= 1
    assert client.chat("carol").status_code == 401
    assert client.chat("dave", "qwen3-max").status_code == 404
    assert client.chat("dave").status_code == 200


def test_requests_a_minute_are_counted_by_the_platform_where_it_can(start: StartClient) -> None:
    """Its limit is not the key's, to tell who counts."""
    keys = [{"key": "test-key-alice", "label": "alice", "requests_per_minute": 4}]
    client = start({"CLIENT_KEYS": json.dumps(keys)}, rate_limits={"RATE_LIMIT_4": 2})
    answers = [client.chat("alice") for _ in range(4)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_limit_holds_over_a_restart(start: StartClient, tmp_path: Path) -> None:
    limited: dict[str, str | None] = {
        "CLIENT_KEYS": json.dumps([{"key": "test-key-alice", "label": "alice", "tokens_per_day": 20}])
    }
    client = start(limited, state=tmp_path)
    while client.chat("alice").status_code == 200:
        pass
    client.usage()
    client.worker.stop()
    assert start(limited, state=tmp_path).chat("alice").status_code == 429
