"""Which runtime the worker tests run on: QWEN_WORKER_RUNTIME is `embedded` (the default) or `production`."""

import os
from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

import pytest

from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.logs import LogBook
from tests.worker.harness.served_worker import MakeDev, ProductionWorker, WranglerWorker

ENVIRONMENT_VARIABLE = "QWEN_WORKER_RUNTIME"


class Runtime(Enum):
    """What runs the Worker."""

    EMBEDDED = "embedded"
    PRODUCTION = "production"


class Worker(Protocol):
    """A running Worker, however it was started."""

    base_url: str
    log: LogBook

    @property
    def openai_base_url(self) -> str:
        """What OpenAI clients are given as their base URL."""
        ...

    def events(self, name: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """The Worker's own log events so far."""
        ...

    def stop(self) -> None:
        """Ends the Worker and every process it started."""
        ...


def selected_runtime() -> Runtime:
    """The runtime that the environment asks for. Raises ValueError for an unknown one."""
    return Runtime(os.environ.get(ENVIRONMENT_VARIABLE, Runtime.EMBEDDED.value))


def embedded_only(reason: str = "needs a Worker that nothing stands before") -> pytest.MarkDecorator:
    """A mark for tests that the production runtime cannot run."""
    return pytest.mark.skipif(selected_runtime() is not Runtime.EMBEDDED, reason=reason)


def start_served_worker(variables: Mapping[str, str]) -> Worker:
    """Starts a Worker as a developer or production would."""
    if selected_runtime() is Runtime.PRODUCTION:
        return ProductionWorker(variables)
    return WranglerWorker(variables)


def start_make_dev(variables: Mapping[str, str]) -> Worker:
    """Starts `make dev`, which is for the embedded runtime; on production's, what comes next to it."""
    if selected_runtime() is Runtime.PRODUCTION:
        return ProductionWorker(variables)
    return MakeDev(variables)


def start_quick_worker(variables: Mapping[str, str]) -> Worker:
    """Starts a Worker in the quickest way that the runtime offers: for tests that need one of their own."""
    if selected_runtime() is Runtime.PRODUCTION:
        return ProductionWorker(variables)
    return DirectWorker(variables)
