"""Messages on each Pyodide that production runs: bridged by the login, passed on by a key."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, APIStatusError

from tests.production.conftest import CLIENT_KEY
from tests.production.pyodide_worker import PyodideWorker
from tests.simulator import DEFAULT_API_KEY, QwenSimulator

QUESTION: Any = [{"role": "user", "content": "Hi"}]
ENDPOINTS = {"bridged": "chat", "native": "messages"}


@pytest.fixture(params=list(ENDPOINTS))
def way(request: pytest.FixtureRequest, worker: PyodideWorker, simulator: QwenSimulator) -> Iterator[str]:
    """How the account is asked that comes first."""
    name: str = request.param
    described = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url, "messages": name}
    worker.deploy({"QWEN_API_KEY": json.dumps(described)})
    yield name
    worker.deploy({"QWEN_API_KEY": ""})


@pytest.fixture
def client(worker: PyodideWorker) -> Iterator[Anthropic]:
    """Anthropic's SDK, pointed at the Worker, without retries."""
    with Anthropic(base_url=worker.base_url, api_key=CLIENT_KEY, max_retries=0) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True])
def test_message(way: str, stream: bool, client: Anthropic, simulator: QwenSimulator) -> None:
    key = f"production-{way}-{stream}-{id(client)}"
    simulator.faults.plan(key, {"reasoning": ["hm"], "text": ["Grüße", " 🙂"]})
    with client.with_options(default_headers={"x-request-id": key}) as asking:
        request: Any = {
            "model": "claude-x",
            "max_tokens": 99,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        message: Any
        if stream:
            with asking.messages.stream(**request) as answer:
                message = answer.get_final_message()
        else:
            message = asking.messages.create(**request)
        counted = asking.messages.count_tokens(model="claude-x", messages=QUESTION)

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[1].text == "Grüße 🙂"
    assert message.model == "claude-x"
    assert counted.input_tokens > 0
    asked = [received.endpoint for received in simulator.find(key)]
    assert asked == [ENDPOINTS[way], *(["count_tokens"] if way == "native" else [])]


def test_broken_stream_is_an_error(way: str, client: Anthropic, simulator: QwenSimulator) -> None:
    key = f"production-broken-{way}-{id(client)}"
    simulator.faults.plan(key, {"abort_after": 6, "chunk_delay_ms": 5})
    with (
        pytest.raises(APIStatusError),
        client.messages.stream(
            model="claude-x",
            max_tokens=99,
            messages=QUESTION,
            extra_headers={"x-request-id": key},
        ) as answer,
    ):
        answer.get_final_message()
