"""A stream that has ended leaves nothing in the isolate's memory, which must last for thousands of streams.

Counted in Python objects: this is exact, while the memory of a process shows a leak only after many thousands
of streams.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.simulator.server import QwenSimulator
from tests.worker.conftest import oauth_variables
from tests.worker.harness.direct_worker import DirectWorker, Module, python_modules
from tests.worker.harness.runtime import Runtime, selected_runtime
from tests.worker.test_streams import raw
from tools.repository import SOURCE

pytestmark = pytest.mark.skipif(
    selected_runtime() is not Runtime.EMBEDDED, reason="needs an entry module of the test's own"
)

ENTRY = """
import gc
from js import Response
from qwen_worker.platform import streams
streams.HAS_CURRENT_STREAMS = {current}
import entry

async def on_fetch(request, env, ctx):
    if request.url.endswith("/objects"):
        gc.collect()
        return Response.new(str(len(gc.get_objects())))
    return await entry.on_fetch(request, env, ctx)
"""
STREAMS = 16
ROUNDS = 3
"""What a stream leaves behind shows in every round; a module that is loaded on a rare path only in one."""


@pytest.fixture(scope="module", params=[True, False], ids=["identity", "standard"])
def counted_worker(simulator: QwenSimulator, request: pytest.FixtureRequest) -> Iterator[DirectWorker]:
    entry = Module(
        type="PythonModule", path="counting_entry.py", contents=ENTRY.format(current=request.param)
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


def objects(worker: DirectWorker) -> int:
    """How many objects Python's garbage collector knows, once the last stream has been put away."""
    counts = []
    for _ in range(4):
        counts.append(int(httpx.get(f"{worker.base_url}/objects").text))
        time.sleep(0.05)
    return min(counts)
