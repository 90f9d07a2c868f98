"""Streams that break, on the Pythons of production: each ends as clients expect it.

There a promise arrives as an asyncio future, so who cancels one wait for it cancels it for everybody.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.production.conftest import CLIENT_KEY
from tests.production.pyodide_worker import PyodideWorker

MODEL = "qwen3-coder-plus"
IDLE_TIMEOUT_SECONDS = 3
PAUSE_MS = 2_000
"""Longer than the watchdog's first pauses: it is looking when the stream breaks."""

PAUSED = {"stall_after": 3, "stall_ms": PAUSE_MS}
BREAKS: dict[str, tuple[dict[str, Any], str]] = {
    "stall": ({"stall_after": 3}, "upstream_timeout"),
    "death": ({**PAUSED, "abort_after": 3}, "stream_failed"),
    "reset": ({**PAUSED, "abort_after": 3, "reset": True}, "stream_failed"),
    "truncation": ({**PAUSED, "end_after": 3}, "stream_truncated"),
}


@pytest.fixture(params=["auto", "always"], ids=["native", "translated"])
def relaying_worker(worker: PyodideWorker, request: pytest.FixtureRequest) -> Iterator[PyodideWorker]:
    """The Worker, which relays natively or translates."""
    worker.deploy({"STREAM_REWRITE": request.param, "STREAM_IDLE_TIMEOUT_SECONDS": str(IDLE_TIMEOUT_SECONDS)})
    yield worker
    worker.deploy({"STREAM_REWRITE": None, "STREAM_IDLE_TIMEOUT_SECONDS": None})


def stream(worker: PyodideWorker, simulate: dict[str, Any]) -> httpx.Response:
    """A whole stream."""
    return httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={
            "model": MODEL,
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "simulate": simulate,
        },
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        timeout=8,
    )


def test_a_stream_that_breaks_after_a_pause_ends_with_an_error(relaying_worker: PyodideWorker) -> None:
    with ThreadPoolExecutor(len(BREAKS)) as threads:
        responses = threads.map(lambda fault: stream(relaying_worker, BREAKS[fault][0]), BREAKS)

    endings = {}
    for fault, response in zip(BREAKS, responses, strict=True):
        *_, error, done, nothing = response.text.split("\n\n")
        code = json.loads(error.removeprefix("data: "))["error"]["code"]
        line = relaying_worker.log.wait_for("stream ended", request_id=response.headers["x-request-id"])
        endings[fault] = (code, done, nothing, line["outcome"])

    assert endings == {fault: (code, "data: [DONE]", "", code) for fault, (_, code) in BREAKS.items()}
