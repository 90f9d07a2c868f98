"""Third-party clients against the Worker on the real workerd, with a simulated Qwen behind it.

The clients are installed by `make test-clients`, into an environment of their own; without them pytest passes
over this folder.
"""

import importlib.util
import warnings
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartWorker, oauth_variables, simulator, start_worker
from tests.worker.harness.messages_gateway import WAYS, Gateway, gateways
from tests.worker.harness.runtime import Worker, start_quick_worker

__all__ = ["CLIENT_KEY", "StartWorker", "simulator", "start_worker"]

collect_ignore_glob = [] if importlib.util.find_spec("langchain_tests") else ["test_*.py"]


FORGIVEN = (ResourceWarning, DeprecationWarning, pytest.PytestUnraisableExceptionWarning)
"""Warnings that only clients may cause: LangChain and LiteLLM leave connections open."""


def pytest_configure(config: pytest.Config) -> None:
    """Lets the clients' own warnings pass in the tests."""
    for category in FORGIVEN:
        config.addinivalue_line("filterwarnings", f"ignore::{category.__module__}.{category.__name__}")


def pytest_unconfigure() -> None:
    """Lets them pass in the last collection of garbage too, which comes after those filters."""
    for category in FORGIVEN:
        warnings.simplefilter("ignore", category)


@pytest.fixture(scope="session")
def worker(simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker that all tests share; it takes CLIENT_KEY and logs everything."""
    running = start_quick_worker(oauth_variables(simulator))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def open_worker(simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker that asks for no key."""
    variables = oauth_variables(simulator)
    del variables["OPENAI_API_KEY"]
    running = start_quick_worker(variables)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def gateway_of(simulator: QwenSimulator) -> Iterator[Callable[[str], Gateway]]:
    """The Worker whose account is asked for Messages in one way; started when it is first needed."""
    with gateways(simulator) as start:
        yield start


@pytest.fixture(params=WAYS)
def gateway(request: pytest.FixtureRequest, gateway_of: Callable[[str], Gateway]) -> Gateway:
    """Each of these Workers in turn."""
    return gateway_of(request.param)


@pytest.fixture
def client(worker: Worker) -> Iterator[OpenAI]:
    """The OpenAI SDK as its users have it, retries included."""
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY) as openai_client:
        yield openai_client


@pytest.fixture
async def async_client(worker: Worker) -> AsyncIterator[AsyncOpenAI]:
    """The asynchronous OpenAI SDK as its users have it."""
    async with AsyncOpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY) as openai_client:
        yield openai_client
