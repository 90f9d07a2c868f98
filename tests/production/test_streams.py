"""Streams that break, on the Pythons of production: each ends as clients expect it.

There a promise arrives as an asyncio future, so who cancels one wait for it cancels it for everybody.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import OpenAI

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


RELAYING: dict[str, dict[str, Any]] = {"native": {}, "translated": {"n": 2}}
"""What makes the Worker relay so: a request for two choices is always translated."""


@pytest.fixture
def impatient_worker(worker: PyodideWorker) -> Iterator[PyodideWorker]:
    """The Worker, which does not wait long for a silent Qwen."""
    worker.deploy({"STREAM_IDLE_TIMEOUT_SECONDS": str(IDLE_TIMEOUT_SECONDS)})
    yield worker
    worker.deploy({"STREAM_IDLE_TIMEOUT_SECONDS": None})


def stream(worker: PyodideWorker, simulate: dict[str, Any], **options: Any) -> httpx.Response:
    """A whole stream."""
    return httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={
            "model": MODEL,
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "simulate": simulate,
            **options,
        },
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        timeout=20,
    )


@pytest.mark.parametrize("relaying", RELAYING)
def test_a_stream_that_breaks_after_a_pause_ends_with_an_error(
    impatient_worker: PyodideWorker, relaying: str
) -> None:
    with ThreadPoolExecutor(len(BREAKS)) as threads:
        responses = threads.map(
            lambda fault: stream(impatient_worker, BREAKS[fault][0], **RELAYING[relaying]), BREAKS
        )

    endings = {}
    for fault, response in zip(BREAKS, responses, strict=True):
        *_, error, done, nothing = response.text.split("\n\n")
        code = json.loads(error.removeprefix("data: "))["error"]["code"]
        line = impatient_worker.log.wait_for("stream ended", request_id=response.headers["x-request-id"])
        endings[fault] = (code, done, nothing, line["outcome"])

    assert endings == {fault: (code, "data: [DONE]", "", code) for fault, (_, code) in BREAKS.items()}


@pytest.mark.parametrize("relaying", RELAYING)
def test_a_burst_goes_through_whole_and_in_order(worker: PyodideWorker, relaying: str) -> None:
    response = stream(worker, {"burst": 5_000}, **RELAYING[relaying])

    places = [response.text.index(f"word{number} ") for number in range(0, 5_000, 100)]
    assert places == sorted(places)
    assert response.text.count("word") == 5_000 * RELAYING[relaying].get("n", 1)
    assert response.text.endswith("data: [DONE]\n\n")


def test_several_prompts_are_answered_in_one_stream(worker: PyodideWorker) -> None:
    """A pipe that has carried one translated stream carries the next one, errors and keep-alives too."""
    worker.deploy({"STREAM_KEEP_ALIVE_SECONDS": "0.3"})
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        for fault in ({}, {"delay_before_first_chunk_ms": 500}):
            stream = client.completions.create(
                model=MODEL,
                prompt=["a", "b", "c", "d"],
                stream=True,
                extra_body={"simulate": {"text": ["Grüße", " 🙂"], **fault}},
            )
            texts = [""] * 4
            for chunk in stream:
                texts[chunk.choices[0].index] += chunk.choices[0].text
            assert texts == ["Grüße 🙂"] * 4
