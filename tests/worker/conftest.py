"""A simulated Qwen, a Worker in front of it on the real workerd, and OpenAI clients."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.simulator.in_thread import run_in_thread
from tests.simulator.server import QwenSimulator
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import (
    Runtime,
    Worker,
    selected_runtime,
    start_quick_worker,
    start_served_worker,
)

CLIENT_KEY = "test-client-key"

StartWorker = Callable[..., Worker]
StartDirectWorker = Callable[..., DirectWorker]


def oauth_variables(simulator: QwenSimulator) -> dict[str, str]:
    """The variables of a Worker that a fresh login at the simulator and the key CLIENT_KEY configure."""
    return {
        "QWEN_CLI_AUTH": json.dumps(simulator.create_login().credentials()),
        "QWEN_OAUTH_BASE_URL": simulator.url,
        "OPENAI_API_KEY": CLIENT_KEY,
        "LOG_LEVEL": "debug",
    }


@pytest.fixture(scope="session")
def simulator() -> Iterator[QwenSimulator]:
    """A simulated Qwen, shared by all tests: each asks it for faults of its own."""
    with run_in_thread() as running:
        yield running


@pytest.fixture(scope="session")
def worker(simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker as `make dev` serves it, shared by all tests; it takes CLIENT_KEY and logs everything."""
    running = start_served_worker(oauth_variables(simulator))
    yield running
    running.stop()


@pytest.fixture
def start_worker(simulator: QwenSimulator) -> Iterator[StartWorker]:
    """Starts a Worker of the test's own: `start_worker({"LOG_LEVEL": "info", "OPENAI_API_KEY": None})`.

    The variables are added to those of `worker`; None removes one. `credentials=False`: without a login.
    """
    with ExitStack() as cleanup:

        def start(variables: Mapping[str, str | None] | None = None, *, credentials: bool = True) -> Worker:
            running = start_quick_worker(_variables(simulator, variables, credentials=credentials))
            cleanup.callback(running.stop)
            return running

        yield start


@pytest.fixture
def start_direct_worker(simulator: QwenSimulator) -> Iterator[StartDirectWorker]:
    """As `start_worker`, without any proxy between client and workerd, and with access to KV.

    Takes the options of DirectWorker besides. On the embedded runtime only.
    """
    if selected_runtime() is not Runtime.EMBEDDED:
        pytest.skip("needs the embedded runtime")
    with ExitStack() as cleanup:

        def start(
            variables: Mapping[str, str | None] | None = None, *, credentials: bool = True, **options: Any
        ) -> DirectWorker:
            running = DirectWorker(_variables(simulator, variables, credentials=credentials), **options)
            cleanup.callback(running.stop)
            return running

        yield start


@pytest.fixture
def openai_client(worker: Worker) -> Iterator[OpenAI]:
    """The OpenAI SDK, pointed at `worker`, as a user would have it but without retries."""
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_openai_client(worker: Worker) -> AsyncIterator[AsyncOpenAI]:
    """The asynchronous OpenAI SDK, pointed at `worker`, without retries."""
    async with AsyncOpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


def _variables(
    simulator: QwenSimulator, changes: Mapping[str, str | None] | None, *, credentials: bool
) -> dict[str, str]:
    merged: dict[str, str | None] = {**oauth_variables(simulator), **(changes or {})}
    if not credentials and "QWEN_CLI_AUTH" not in (changes or {}):
        del merged["QWEN_CLI_AUTH"]
    return {name: value for name, value in merged.items() if value is not None}
