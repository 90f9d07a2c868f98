"""Workers with the page in front, as `make dev` serves them, and people who visit it."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.chromium import CHROMIUM, NO_CHROMIUM
from tests.simulator.config import SimulatorConfig
from tests.simulator.in_thread import run_in_thread
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, oauth_variables
from tests.worker.harness.runtime import Worker, start_served_worker

if TYPE_CHECKING:
    from tests.clients.page.visitor import Visitor

collect_ignore_glob = [] if importlib.util.find_spec("playwright") else ["test_*.py"]

ADMIN_KEY = "test-admin-key"
UNUSED_KEY = "test-key-of-carol"
"""No test asks a model with it."""

Visit = Callable[..., "Visitor"]
Serve = Callable[..., Worker]


@pytest.fixture(scope="session")
def page_simulator() -> Iterator[QwenSimulator]:
    """A simulated Qwen whose device codes may be asked about every second."""
    with run_in_thread(SimulatorConfig(device_poll_interval_seconds=0.2)) as running:
        yield running


def start_page_worker(simulator: QwenSimulator, changes: Mapping[str, str | None]) -> Worker:
    """A Worker with ADMIN_KEY and alice's CLIENT_KEY; `changes` are added, None removes a variable."""
    merged: dict[str, str | None] = {
        **oauth_variables(simulator),
        "OPENAI_API_KEY": None,
        "CLIENT_KEYS": f"alice={CLIENT_KEY}",
        "ADMIN_KEY": ADMIN_KEY,
        **changes,
    }
    return start_served_worker({name: value for name, value in merged.items() if value is not None})


@pytest.fixture(scope="session")
def gateway(page_simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker with ADMIN_KEY and the client keys CLIENT_KEY, which is alice's, and UNUSED_KEY."""
    running = start_page_worker(page_simulator, {"CLIENT_KEYS": f"alice={CLIENT_KEY},carol={UNUSED_KEY}"})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def serve(page_simulator: QwenSimulator) -> Iterator[Serve]:
    """Starts a Worker of the tests' own: `serve(PRICES="...", ADMIN_KEY=None)`."""
    with ExitStack() as cleanup:

        def start(**changes: str | None) -> Worker:
            running = start_page_worker(page_simulator, changes)
            cleanup.callback(running.stop)
            return running

        yield start


@pytest.fixture
def visit() -> Iterator[Visit]:
    """Opens a window at a Worker: `visit(worker).open("usage", key=...)`; see Visitor."""
    from playwright.sync_api import sync_playwright

    from tests.clients.page.visitor import Visitor

    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    # One a test: while it runs, no test may run an event loop of its own.
    with sync_playwright() as playwright, ExitStack() as windows:

        def open_window(worker: Worker, **options: Any) -> Visitor:
            return windows.enter_context(Visitor(playwright, worker.base_url, **options))

        yield open_window
