"""A stream that has ended leaves nothing in the isolate's memory, which must last for thousands of streams.

Counted in Python objects: this is exact, while the memory of a process shows a leak only after many thousands
of streams.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker, Module, python_modules
from tests.worker.harness.runtime import embedded_only
from tests.worker.test_streams import raw, request_of
from tools.repository import SOURCE

pytestmark = embedded_only("needs an entry module of the test's own")

ENTRY = """
import gc
from js import Response
from qwen_worker.platform import streams
streams.HAS_CURRENT_STREAMS = {current}
import entry
from qwen_worker.platform import lifetime
lifetime.BEAT_MS, lifetime.SILENCE_MS, lifetime.SWEEP_MS = {beat_ms}, {silence_ms}, {silence_ms}

async def on_fetch(request, env, ctx):
    if request.url.endswith("/objects"):
        gc.collect()
        return Response.new(str(len(gc.get_objects())))
    return await entry.on_fetch(request, env, ctx)
"""
STREAMS = 16
BEAT_MS = 100
SILENCE_MS = 1000
"""How long the Worker under test waits before it takes a request for dead."""

MOST_OBJECTS_OF_A_CUT = 15
"""What a client that leaves may leave behind: the future that was waited for, and its promise's callbacks. A
whole request is 120 objects.
"""
ROUNDS = 3
"""What a stream leaves behind shows in every round; a module that is loaded on a rare path only in one."""


@pytest.fixture(scope="module", params=[True, False], ids=["identity", "standard"])
def counted_worker(simulator: QwenSimulator, request: pytest.FixtureRequest) -> Iterator[DirectWorker]:
    entry = Module(
        type="PythonModule",
        path="counting_entry.py",
        contents=ENTRY.format(current=request.param, beat_ms=BEAT_MS, silence_ms=SILENCE_MS),
    )
    worker = DirectWorker(
        {**oauth_variables(simulator), "STREAM_KEEP_ALIVE_SECONDS": "0.2"},
        modules=[entry, *python_modules(SOURCE)],
    )
    yield worker
    worker.stop()


@pytest.mark.parametrize(
    "simulate",
    [
        {"text": ["Hello"]},
        {"text": ["Hello"], "id_lines": True},
        {"text": ["Hello", " world"], "chunk_delay_ms": 300},
        {"text": ["Hello"], "delay_before_headers_ms": 300},
        {"end_after": 3},
        {"error_event_after": 0},
    ],
    ids=["healthy", "repaired", "slow", "kept alive", "truncated", "error first"],
)
def test_a_stream_leaves_no_objects_behind(counted_worker: DirectWorker, simulate: dict[str, object]) -> None:
    def stream(_: int) -> None:
        raw(counted_worker, simulate)

    growths = []
    with ThreadPoolExecutor(STREAMS // 2) as threads:
        list(threads.map(stream, range(STREAMS)))
        for _ in range(ROUNDS):
            before = objects(counted_worker)
            list(threads.map(stream, range(STREAMS)))
            growths.append(objects(counted_worker) - before)
            if growths[-1] < STREAMS:
                return

    raise AssertionError(f"{STREAMS} streams leave so many objects behind, round after round: {growths}")


@pytest.mark.parametrize("options", [{}, {"n": 2}], ids=["native", "translated"])
def test_a_client_that_leaves_leaves_next_to_nothing_behind(
    counted_worker: DirectWorker, options: dict[str, Any]
) -> None:
    def leave_all() -> None:
        simulate = {"chunks": 600, "chunk_delay_ms": 50}
        with ThreadPoolExecutor(STREAMS) as threads:
            list(threads.map(lambda _: leave(counted_worker, simulate, **options), range(STREAMS)))
        for _ in range(3):
            time.sleep(SILENCE_MS / 1000 * 1.1)
            assert raw(counted_worker, {"text": ["Hello"]}).text.endswith("data: [DONE]\n\n")

    leave_all()
    growths = []
    for _ in range(ROUNDS):
        before = objects(counted_worker)
        leave_all()
        growths.append(objects(counted_worker) - before)
        if growths[-1] < STREAMS * MOST_OBJECTS_OF_A_CUT:
            return

    raise AssertionError(f"{STREAMS} clients that leave leave so many objects behind: {growths}")


def test_a_stream_that_lives_is_not_taken_for_dead(counted_worker: DirectWorker) -> None:
    """Though other requests look for the dead meanwhile, and it is silent for longer than they wait."""
    pause_ms = 4 * SILENCE_MS
    with ThreadPoolExecutor(2) as threads:
        paused = [
            threads.submit(raw, counted_worker, {"stall_after": 3, "stall_ms": pause_ms}, **options)
            for options in ({}, {"n": 2})
        ]
        while not all(response.done() for response in paused):
            raw(counted_worker, {"text": ["Hello"]})
            time.sleep(SILENCE_MS / 2000)

    for response in paused:
        assert response.result().text.endswith("data: [DONE]\n\n")
        assert "error" not in response.result().text


def leave(worker: DirectWorker, simulate: Any, **options: Any) -> None:
    """Asks for a stream, and goes away in the middle of it."""
    with httpx.stream(
        "POST",
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json=request_of(simulate, **options),
        timeout=20,
    ) as response:
        pieces = response.iter_raw()
        for _ in range(5):
            next(pieces)


def objects(worker: DirectWorker) -> int:
    """How many objects Python's garbage collector knows, once the last stream has been put away."""
    counts = []
    for _ in range(4):
        counts.append(int(httpx.get(f"{worker.base_url}/objects").text))
        time.sleep(0.05)
    return min(counts)
