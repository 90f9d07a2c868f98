from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import SimulatorConfig, disconnected, run_in_thread
from tests.unit.simulator.http_client import chat_body

REPOSITORY = Path(__file__).parents[3]


def call(method: str, url: str, body: Any = None, token: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@contextmanager
def own_process(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "tests.simulator", "--announce", *options]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_a_thread_serves_synchronous_tests() -> None:
    with run_in_thread() as simulator:
        token = simulator.config.api_keys[0]
        answer = call("POST", f"{simulator.api_url}/chat/completions", chat_body(), token)
        assert answer["object"] == "chat.completion"
        assert [request.status for request in simulator.chats] == [200]
        with pytest.raises(TimeoutError, match="recorded: none"):
            simulator.recorder.wait_for("nothing", disconnected, timeout_seconds=0.01)
    with pytest.raises(OSError, match="refused"):
        call("GET", f"{simulator.url}/__control/state")


def test_a_port_in_use_is_told_to_the_starter() -> None:
    with run_in_thread() as simulator:
        second = run_in_thread(SimulatorConfig(port=simulator.port))
        with pytest.raises(OSError, match="in use"):
            second.__enter__()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_announces_itself_and_ends_by_signal(number: signal.Signals) -> None:
    with own_process("--chunk-delay-ms", "0") as (process, announced):
        chat_url = f"{announced['api_url']}/chat/completions"
        assert call("POST", chat_url, chat_body(), announced["api_key"])["model"] == "qwen3-coder-plus"
        assert announced["oauth_creds"].keys() == {
            "access_token",
            "token_type",
            "refresh_token",
            "expiry_date",
            "resource_url",
        }
        state = call("GET", f"{announced['base_url']}/__control/state")
        assert state["logins"]["login-1"]["credentials"] == announced["oauth_creds"]
        process.send_signal(number)
        assert process.wait(timeout=5) == 0


def test_the_controls_work_over_http() -> None:
    with run_in_thread() as simulator:
        control = f"{simulator.url}/__control"
        chat_url = f"{simulator.api_url}/chat/completions"
        token = simulator.config.api_keys[0]
        call("POST", f"{control}/faults", {"fault": {"text": ["queued"]}, "endpoint": "chat"})
        answer = call("POST", chat_url, chat_body(simulate_nothing=1), token)
        assert answer["choices"][0]["message"]["content"] == "queued"
        (request,) = call("GET", f"{control}/requests?endpoint=chat")["requests"]
        assert (request["body"]["simulate_nothing"], request["outcome"]) == (1, "completed")

        credentials = call("POST", f"{control}/logins", {"name": "second", "access_token_seconds": -1})
        assert credentials["expiry_date"] < request["received_at_ms"]
        call("POST", f"{control}/logins/second/kill", {})
        assert call("GET", f"{control}/state")["logins"]["second"]["alive"] is False
        call("DELETE", f"{control}/requests")
        assert call("GET", f"{control}/requests")["requests"] == []
        with pytest.raises(urllib.request.HTTPError) as refused:
            call("POST", f"{control}/faults", {"fault": "no_such_fault"})
        assert refused.value.code == 400
        refused.value.close()
