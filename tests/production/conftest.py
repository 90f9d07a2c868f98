"""The Worker on each Pyodide that production runs, in front of a simulated Qwen."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.production.pyodide_worker import RUNTIMES, PyodideRuntime, PyodideWorker, vendor_sdk
from tests.simulator import Login, QwenSimulator, run_in_thread
from tools.repository import SOURCE

CLIENT_KEY = "test-client-key"

Renew = Callable[..., Login]


@pytest.fixture(scope="session")
def simulator() -> Iterator[QwenSimulator]:
    """A simulated Qwen, shared by all tests: each asks it for faults of its own."""
    with run_in_thread() as running:
        yield running


@pytest.fixture(scope="session")
def python_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vendored SDK."""
    return vendor_sdk(tmp_path_factory.mktemp("python_modules"))


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of src/, so that editing does not change it in the middle of a run."""
    copy = tmp_path_factory.mktemp("source") / "src"
    return Path(shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="session", params=RUNTIMES, ids=lambda runtime: f"python{runtime.python}")
def runtime(request: pytest.FixtureRequest) -> PyodideRuntime:
    """Each of the runtimes."""
    selected: PyodideRuntime = request.param
    return selected


@pytest.fixture(scope="session")
def running_worker(
    runtime: PyodideRuntime, simulator: QwenSimulator, python_modules: Path, source: Path
) -> Iterator[PyodideWorker]:
    """One Worker for each runtime, with a login at the simulator and the key CLIENT_KEY."""
    worker = PyodideWorker(
        runtime,
        python_modules,
        {
            "QWEN_CLI_AUTH": json.dumps(simulator.create_login().credentials()),
            "QWEN_OAUTH_BASE_URL": simulator.url,
            "OPENAI_API_KEY": CLIENT_KEY,
            "LOG_LEVEL": "debug",
        },
        source=source,
    )
    yield worker
    worker.stop()


@pytest.fixture
def worker(running_worker: PyodideWorker) -> Iterator[PyodideWorker]:
    """The Worker. The test fails if something in the Worker fails that a client does not see."""
    before = _hidden_failures(running_worker)
    yield running_worker
    assert _hidden_failures(running_worker)[len(before) :] == []


@pytest.fixture
def client(worker: PyodideWorker) -> Iterator[OpenAI]:
    """The OpenAI SDK, pointed at the Worker, without retries."""
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as running:
        yield running


@pytest.fixture
def renew(worker: PyodideWorker, simulator: QwenSimulator) -> Renew:
    """Deploys the Worker with a fresh login, whose access token lives for `access_token_seconds`."""

    def deploy(*, access_token_seconds: float) -> Login:
        login = simulator.create_login(access_token_seconds=access_token_seconds)
        worker.deploy({"QWEN_CLI_AUTH": json.dumps(login.credentials())})
        return login

    return deploy


def _hidden_failures(worker: PyodideWorker) -> list[object]:
    """What a client cannot see: failed work under waitUntil, rejected promises, errors of our own."""
    failed = [outcome for outcome in worker.background() if outcome != "done"]
    return [*failed, *worker.unhandled(), *worker.log.events("unexpected error")]
