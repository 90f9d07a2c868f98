"""Streams that are translated, through the real workerd: on the embedded runtime's pipe, and on the one of
current runtimes.
"""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from bench import client as bench_client
from bench.workers import upstream
from qwen_worker.platform.ports import TRANSLATE_SECONDS
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker, Module, python_modules
from tests.worker.harness.runtime import embedded_only
from tests.worker.test_streams import in_stream_error, raw
from tools.repository import SOURCE

pytestmark = embedded_only("needs an entry module of the test's own")

ENTRY = """
from qwen_worker.platform import streams
streams.HAS_CURRENT_STREAMS = {current}

from qwen_worker.api.chat.repair import StreamRepairer
feed = StreamRepairer.feed

def failing(self, data):
    if b"boom" in data:
        raise RuntimeError("secret words")
    return feed(self, data)

StreamRepairer.feed = failing

from entry import on_fetch
"""
TRANSLATED: dict[str, Any] = {"n": 2}
"""A request for two choices is always translated."""

TOLERANCE_SECONDS = 0.15
"""Of a busy machine."""


@pytest.fixture(scope="module")
def stamping_upstream() -> Iterator[int]:
    """The port of an upstream that says in each text when it was sent."""
    with upstream() as port:
        yield port


@pytest.fixture(scope="module", params=[True, False], ids=["identity", "pushed"])
def entry(request: pytest.FixtureRequest) -> list[Module]:
    module = Module(type="PythonModule", path="entry_here.py", contents=ENTRY.format(current=request.param))
    return [module, *python_modules(SOURCE)]


@pytest.fixture(scope="module")
def worker(simulator: QwenSimulator, entry: list[Module]) -> Iterator[DirectWorker]:
    running = DirectWorker({**oauth_variables(simulator), "STREAM_IDLE_TIMEOUT_SECONDS": "3"}, modules=entry)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def stamped_worker(stamping_upstream: int, entry: list[Module]) -> Iterator[DirectWorker]:
    variables = {
        "QWEN_API_KEY": "a-key",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{stamping_upstream}/v1",
        "OPENAI_API_KEY": bench_client.CLIENT_KEY,
    }
    running = DirectWorker(variables, modules=entry)
    yield running
    running.stop()


@pytest.mark.parametrize("pause_ms", [10, 150, 400])
def test_text_is_held_back_for_a_moment_at_most_and_the_first_after_a_pause_not_at_all(
    stamped_worker: DirectWorker, pause_ms: int
) -> None:
    port = int(stamped_worker.base_url.rpartition(":")[2])
    request = bench_client.chat(bench=f"stamped {2_400 // pause_ms} {pause_ms}", **TRANSLATED)
    asyncio.run(bench_client.text_delays(port, request))  # which loads what the first stream needs

    delays = asyncio.run(bench_client.text_delays(port, request))

    assert len(delays) == 2_400 // pause_ms
    assert max(delays[:2]) < TRANSLATE_SECONDS
    is_gathered = pause_ms < TRANSLATE_SECONDS * 1000
    assert median(delays) < (TRANSLATE_SECONDS + 0.02 if is_gathered else TRANSLATE_SECONDS / 2)
    assert max(delays) < TRANSLATE_SECONDS + 0.02 + TOLERANCE_SECONDS


def test_a_burst_goes_through_whole_and_in_order(worker: DirectWorker) -> None:
    response = raw(worker, {"burst": 20_000}, **TRANSLATED)

    places = [response.text.index(f"word{number} ") for number in range(0, 20_000, 1_000)]
    assert places == sorted(places)
    assert response.text.count("word") == 2 * 20_000
    assert response.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("simulate", "code"),
    [
        ({"stall_after": 3}, "upstream_timeout"),
        ({"stall_after": 3, "stall_ms": 1_000, "abort_after": 3}, "stream_failed"),
        ({"stall_after": 3, "stall_ms": 1_000, "abort_after": 3, "reset": True}, "stream_failed"),
        ({"stall_after": 3, "stall_ms": 1_000, "end_after": 3}, "stream_truncated"),
        ({"abort_after": 3}, "stream_failed"),
        ({"error_event_after": 3}, "stream_failed"),
    ],
    ids=str,
)
def test_half_an_answer_ends_with_an_error(worker: DirectWorker, simulate: Any, code: str) -> None:
    assert in_stream_error(raw(worker, simulate, **TRANSLATED))["code"] == code


@pytest.mark.parametrize("place", [1, 5])
def test_a_bug_in_a_translator_ends_the_stream(
    worker: DirectWorker, simulator: QwenSimulator, place: int
) -> None:
    key = f"bug {place} {worker.base_url}"
    text = ["word "] * place + ["boom"] + ["word "] * 200

    response = raw(worker, {"text": text, "chunk_delay_ms": 60, "key": key}, **TRANSLATED)

    assert in_stream_error(response)["code"] == "internal_error"
    assert "secret words" not in response.text + worker.log.text()
    simulator.recorder.wait_for(key, disconnected, timeout_seconds=10)


def test_nothing_is_awaited_after_done(worker: DirectWorker, simulator: QwenSimulator) -> None:
    key = f"after done {worker.base_url}"
    chunk = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    simulate = {"raw": [chunk, chunk, chunk, "data: [DONE]\n\n"], "stall_after": 4, "key": key}
    began = time.monotonic()

    response = raw(worker, simulate, **TRANSLATED)

    assert response.text == chunk * 3 + "data: [DONE]\n\n"
    assert time.monotonic() - began < 2.0
    simulator.recorder.wait_for(key, disconnected, timeout_seconds=10)


def test_a_slow_client_stops_the_reading(worker: DirectWorker, simulator: QwenSimulator) -> None:
    key = f"slow {worker.base_url}"
    connection = ask_slowly(worker, {"endless": True, "delta_bytes": 4_000, "chunk_delay_ms": 0, "key": key})
    try:
        sent = settled_events(simulator, key)
        assert sent < 8_000

        read = sum(len(connection.recv(65_536)) for _ in range(400))

        assert read > 1_000_000
        assert settled_events(simulator, key) > sent
    finally:
        connection.close()
    simulator.recorder.wait_for(key, disconnected, timeout_seconds=10)


def ask_slowly(worker: DirectWorker, simulate: dict[str, Any]) -> socket.socket:
    """Asks for a stream and reads nothing of it yet."""
    port = int(worker.base_url.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    message = {"role": "user", "content": "Hi"}
    body = json.dumps({"messages": [message], "stream": True, "simulate": simulate, **TRANSLATED})
    connection.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {CLIENT_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def settled_events(simulator: QwenSimulator, key: str) -> int:
    """How many events Qwen has sent, once it cannot send any more."""
    deadline = time.monotonic() + 8
    before = -1
    while time.monotonic() < deadline:
        requests = simulator.find(key)
        sent = requests[-1].events_sent if requests else 0
        if sent and sent == before:
            return sent
        before = sent
        time.sleep(0.4)
    raise AssertionError(f"Qwen goes on sending, {before} events so far")
