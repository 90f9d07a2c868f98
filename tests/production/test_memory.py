"""A client that leaves in the middle of a stream leaves next to nothing, on the Pythons of production."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.production.conftest import CLIENT_KEY
from tests.production.pyodide_worker import PyodideWorker
from tests.production.test_streams import MODEL, RELAYING, stream

CLIENTS = 20
SILENT = {"stall_after": 3}
MOST_OBJECTS = 15
"""What one client may leave behind: what its promises hold."""


def leave(worker: PyodideWorker, **options: Any) -> None:
    """Asks for a stream, and goes away when it has begun."""
    with httpx.stream(
        "POST",
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={
            "model": MODEL,
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "simulate": SILENT,
            **options,
        },
        timeout=20,
    ) as response:
        next(response.iter_raw())


def sweep(worker: PyodideWorker) -> None:
    """Lets two minutes pass."""
    worker.run(
        "from qwen_worker.platform import lifetime\n"
        "for minutes in (1, 2):\n"
        "    lifetime.sweep(lifetime._now_ms() + minutes * 60_000)\n"
    )


def objects(worker: PyodideWorker) -> int:
    count: int = worker.run("import gc\ngc.collect()\nlen(gc.get_objects())")
    return count


@pytest.mark.parametrize("relaying", RELAYING)
def test_a_client_that_leaves_leaves_nothing_behind(worker: PyodideWorker, relaying: str) -> None:
    def leave_all() -> None:
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(lambda _: leave(worker, **RELAYING[relaying]), range(CLIENTS)))

    leave_all()
    sweep(worker)
    before = objects(worker)
    leave_all()
    left = objects(worker) - before
    sweep(worker)

    assert left > 50 * CLIENTS, "the requests were gone before they were put away: the test shows nothing"
    assert objects(worker) - before < MOST_OBJECTS * CLIENTS
    assert stream(worker, {"text": ["Hello"]}).text.endswith("data: [DONE]\n\n")
