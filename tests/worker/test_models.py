"""The catalogue through the real workerd."""

import json
import time
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import Worker

KEYS = {"authorization": f"Bearer {CLIENT_KEY}"}


def key_worker(start: StartDirectWorker, simulator: QwenSimulator, **variables: str) -> DirectWorker:
    """A Worker with a key and no login."""
    key = json.dumps({"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url})
    return start({"QWEN_API_KEY": key, **variables}, credentials=False)


def names(worker: Worker | DirectWorker, query: str = "") -> list[str]:
    response = httpx.get(f"{worker.openai_base_url}/models{query}", headers=KEYS, timeout=30)
    assert response.status_code == 200
    return [model["id"] for model in response.json()["data"]]


def test_the_host_is_asked_once_and_its_list_is_kept_in_kv(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker
) -> None:
    worker = key_worker(start_direct_worker, simulator, MODEL_ALIASES="gpt-4o=qwen3.7-plus, gpt-*=qwen3-max")
    asked = len(simulator.recorder.requests("models"))

    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        listed = {model.id: model for model in client.models.list()}
        assert client.models.retrieve("qwen3.7-plus").owned_by == "system"
        assert client.models.retrieve("gpt-9").id == "gpt-9"

    assert [*listed] == [
        "qwen3-coder-plus",
        "qwen3-coder-flash",
        "qwen3.7-plus",
        "text-embedding-v4",
        "gpt-4o",
        "text-embedding-3-small",
        "text-embedding-3-large",
        "text-embedding-ada-002",
    ]
    extra: Any = listed["qwen3.7-plus"].model_extra
    assert (extra["context_window"], extra["max_output_tokens"]) == (991_808, 65_536)
    assert len(simulator.recorder.requests("models")) == asked + 1


@pytest.mark.parametrize(
    "fault",
    [{"delay_before_headers_ms": 20_000}, {"abort_before_headers": True}, "service_unavailable"],
    ids=["slow", "broken", "unavailable"],
)
def test_a_host_that_does_not_tell_keeps_nobody_waiting(
    simulator: QwenSimulator, start_direct_worker: StartDirectWorker, fault: Any
) -> None:
    worker = key_worker(start_direct_worker, simulator)
    httpx.get(f"{worker.base_url}/health", timeout=60)  # compiled
    simulator.faults.add(fault, endpoint="models")
    began = time.monotonic()

    assert names(worker)[:2] == ["qwen3-coder-plus", "qwen3-coder-flash"]

    assert time.monotonic() - began < 2.5
    began = time.monotonic()
    names(worker)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("query", ["?limit=1000", "?client_version=0.171.0"])
def test_a_login_lists_the_portals_models_and_queries_are_answered(worker: Worker, query: str) -> None:
    assert {"coder-model", "vision-model", "qwen3-coder-plus"} <= set(names(worker, query))
