"""Claude Code, headless, in a network namespace where it reaches nothing but what `make dev` serves.

The simulated Qwen is planned by the x-request-id that ANTHROPIC_CUSTOM_HEADERS gives to all its requests.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.node_clients import ANTHROPIC_PROJECT
from tests.clients.offline import can_run_offline, run_offline
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.messages_gateway import MODEL, Gateway, gateways
from tests.worker.harness.runtime import start_make_dev

CLAUDE = ANTHROPIC_PROJECT / "node_modules/@anthropic-ai/claude-code-linux-x64/claude"

pytestmark = [
    pytest.mark.skipif(not CLAUDE.exists(), reason="Claude Code is not installed for this machine"),
    pytest.mark.skipif(not can_run_offline(), reason="this machine has no network namespaces"),
    pytest.mark.timeout(120),
]

NO_CALLS: dict[str, Any] = {"tool_calls": []}
"""Said always: the prompt names every tool, which the simulator takes for a wish."""

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def gateway_of(simulator: QwenSimulator) -> Iterator[Callable[[str], Gateway]]:
    """As for the other clients, but served by `make dev`."""
    with gateways(simulator, start_make_dev) as start:
        yield start


@pytest.fixture
def ask(gateway: Gateway, tmp_path: Path) -> Ask:
    """Asks Claude Code: `ask("Say hi", simulation, "--allowedTools", "Read")`."""

    def run(
        prompt: str, simulation: Any, *options: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        gateway.plan()
        gateway.simulator.faults.plan(gateway.key, simulation)
        return run_offline(
            [str(CLAUDE), "-p", prompt, *options],
            gateway.worker.base_url,
            environment={
                "HOME": str(tmp_path),
                "PATH": os.environ["PATH"],
                "ANTHROPIC_BASE_URL": gateway.worker.base_url,
                "ANTHROPIC_AUTH_TOKEN": CLIENT_KEY,
                "ANTHROPIC_CUSTOM_HEADERS": f"x-request-id: {gateway.key}",
                **environment,
            },
            cwd=tmp_path,
            timeout_seconds=100,
        )

    return run


def says(*text: str, **fault: Any) -> dict[str, Any]:
    """An answer that is a text."""
    return {"text": list(text), **NO_CALLS, **fault}


def calls(name: str, *inputs: dict[str, Any], **fault: Any) -> dict[str, Any]:
    """An answer that calls a tool, once for each input."""
    return {"tool_calls": [{"name": name, "arguments": json.dumps(given)} for given in inputs], **fault}


def models(gateway: Gateway) -> list[Any]:
    """The models of the last requests at Qwen."""
    bodies: list[Any] = [request.body for request in gateway.received]
    return [body["model"] for body in bodies]


def test_question(ask: Ask, gateway: Gateway) -> None:
    answer = ask("Say hi", {"then": says("Hello", " from Qwen")}, ANTHROPIC_MODEL=MODEL)

    assert (answer.stdout.strip(), answer.returncode) == ("Hello from Qwen", 0), answer
    assert models(gateway) == [MODEL]


def test_its_own_models_are_the_default_model(ask: Ask, gateway: Gateway) -> None:
    answer = ask("Say hi", {"then": says("Hello")}, ANTHROPIC_MODEL="claude-sonnet-4-5[1m]")

    assert answer.stdout.strip() == "Hello", answer
    assert models(gateway) == ["qwen3-coder-plus"]


def test_parallel_tools_and_thinking(ask: Ask, gateway: Gateway, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"the content of {name}")
    first = calls("Read", {"file_path": "a.txt"}, {"file_path": "b.txt"}, reasoning=["Let me", " look."])
    answer = ask("Read both", {"sequence": [first], "then": says("Read.")}, ANTHROPIC_MODEL=MODEL)

    assert answer.stdout.strip() == "Read.", answer
    assert [request.status for request in gateway.received] == [200, 200]
    results = gateway.received[1].raw_body.decode()
    # Results come in the order in which its tools were done.
    assert "the content of a" in results
    assert "the content of b" in results
    assert "Let me look." in results


def test_web_search_gets_a_plain_answer(ask: Ask, gateway: Gateway) -> None:
    search = calls("WebSearch", {"query": "rivers"})
    simulation = {"sequence": [search, says("The Seine.")], "then": says("Found.")}
    answer = ask("Search", simulation, "--allowedTools", "WebSearch", ANTHROPIC_MODEL=MODEL)

    assert answer.stdout.strip() == "Found.", answer
    assert len(gateway.received) == 3
    assert "The Seine." in gateway.received[2].raw_body.decode()


def test_context_costs_no_message(ask: Ask, gateway: Gateway) -> None:
    answer = ask("/context", {"then": says("no")}, ANTHROPIC_MODEL=MODEL)

    assert "System tools" in answer.stdout, answer
    counted = [request.endpoint for request in gateway.received]
    assert set(counted) == ({"count_tokens"} if gateway.way == "native" else set())
    assert gateway.worker.log.text().count("POST /v1/messages/count_tokens 200") > 10


def test_used_up_quota_stops_it_at_once(ask: Ask, gateway: Gateway) -> None:
    answer = ask("Say hi", {"then": "insufficient_quota_daily"}, ANTHROPIC_MODEL=MODEL)

    assert answer.returncode != 0
    assert "quota" in answer.stdout, answer
    assert len(gateway.received) == 1


def test_wrong_key_stops_it_at_once(ask: Ask) -> None:
    answer = ask("Say hi", {"then": says("no")}, ANTHROPIC_AUTH_TOKEN="another", ANTHROPIC_MODEL=MODEL)

    assert answer.returncode != 0
    assert "401" in answer.stdout, answer


def test_too_long_a_prompt_is_understood(ask: Ask) -> None:
    answer = ask("Say hi", {"then": "context_length"}, ANTHROPIC_MODEL=MODEL)

    assert "Prompt is too long" in answer.stdout, answer
    assert "limit 1000000" in answer.stdout


@pytest.mark.parametrize("fault", [{"abort_after": 6}, {"end_after": 6}, {"error_event_after": 6}], ids=str)
def test_broken_stream_is_asked_for_again_without_stream(
    ask: Ask, gateway: Gateway, fault: dict[str, Any]
) -> None:
    """It streams once more if the stream just ends; in the end it does without one."""
    broken = {**says(*"abcdefgh"), "chunk_delay_ms": 5, **fault}
    answer = ask("Say hi", {"sequence": [broken], "then": says("Whole.")}, ANTHROPIC_MODEL=MODEL)

    assert answer.stdout.strip() == "Whole.", answer
    bodies: list[Any] = [request.body for request in gateway.received]
    assert [body.get("stream", False) for body in bodies] == [True, False]
