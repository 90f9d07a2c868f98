"""The pipe of current runtimes (IdentityTransformStream), here on the embedded one.

All its promises but those about broken connections, which the embedded runtime breaks (platform/streams.py).
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker, Module, python_modules
from tests.worker.harness.runtime import embedded_only
from tests.worker.test_streams import (
    ODD_FRAMINGS,
    ask,
    in_stream_error,
    leave_after,
    raw,
    relayed,
    text_of,
    usage_line,
)
from tools.repository import SOURCE

pytestmark = embedded_only()

ENTRY = """
from qwen_worker.platform import streams
streams.HAS_CURRENT_STREAMS = True
from entry import on_fetch
"""


@pytest.fixture(scope="module")
def identity_worker(simulator: QwenSimulator) -> Iterator[DirectWorker]:
    entry = Module(type="PythonModule", path="identity_entry.py", contents=ENTRY)
    worker = DirectWorker(
        {**oauth_variables(simulator), "STREAM_KEEP_ALIVE_SECONDS": "0.6", "LOG_LEVEL": "info"},
        modules=[entry, *python_modules(SOURCE)],
    )
    yield worker
    worker.stop()


@pytest.fixture
def client(identity_worker: DirectWorker) -> Iterator[OpenAI]:
    with OpenAI(base_url=identity_worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("framing", ODD_FRAMINGS, ids=str)
def test_streams_go_through_whole(client: OpenAI, framing: dict[str, Any]) -> None:
    deltas = ["Hello", " ", "wörld", " 🙂", "ha", "ha", "ha"]

    chunks = list(ask(client, {"text": deltas, **framing}))

    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content] == deltas


def test_a_burst_goes_through_whole(identity_worker: DirectWorker) -> None:
    response = raw(identity_worker, {"burst": 20_000})

    assert response.text.count("word") == 20_000
    line = usage_line(identity_worker, response)
    assert (line["outcome"], line["bytes"]) == ("completed", len(relayed(response).encode()))


def test_a_long_stream_is_looked_at_and_stays_whole(identity_worker: DirectWorker) -> None:
    response = raw(
        identity_worker, {"chunks": 100, "chunk_delay_ms": 40}, stream_options={"include_usage": True}
    )

    assert response.text.count("word") == 100
    line = usage_line(identity_worker, response)
    assert (line["finish_reason"], line["usage"]["completion_tokens"]) == ("stop", 101)
    assert line["bytes"] == len(relayed(response).encode())


def test_a_silent_qwen_is_bridged_with_comments(identity_worker: DirectWorker) -> None:
    text = raw(identity_worker, {"delay_before_headers_ms": 1500, "text": ["Hello"]}).text

    assert text.startswith(": keep-alive\n\n: keep-alive\n\ndata: {")
    assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("simulate", "code"),
    [
        ("end_without_finish", "stream_truncated"),
        ("usage_without_finish", "stream_truncated"),
        ({"error_event_after": 3}, "stream_failed"),
    ],
)
def test_half_an_answer_ends_with_an_error(identity_worker: DirectWorker, simulate: Any, code: str) -> None:
    assert in_stream_error(raw(identity_worker, simulate))["code"] == code


def test_a_missing_done_is_added(client: OpenAI, identity_worker: DirectWorker) -> None:
    simulate = {"text": ["Hello"], "no_done": True}

    assert raw(identity_worker, simulate).text.endswith("}\n\ndata: [DONE]\n\n")
    assert text_of(list(ask(client, simulate))) == "Hello"


@pytest.mark.parametrize("patience_seconds", [0.8, 3.0])
def test_a_client_that_leaves_closes_the_connection_to_qwen(
    simulator: QwenSimulator, identity_worker: DirectWorker, patience_seconds: float
) -> None:
    key = f"identity leaves {patience_seconds}"
    simulate = {"chunks": 600, "chunk_delay_ms": 50, "key": key}
    leave_after(identity_worker, simulate, patience_seconds)
    left_at = time.monotonic()

    request = simulator.recorder.wait_for(key, disconnected, timeout_seconds=10)

    assert request.disconnected_at is not None
    assert request.disconnected_at - left_at < 2.0
