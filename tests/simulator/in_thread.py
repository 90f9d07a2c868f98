"""Runs a simulator in a thread with an event loop of its own, for synchronous tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import start_blocking_portal

from tests.simulator.config import SimulatorConfig
from tests.simulator.server import QwenSimulator


@contextmanager
def run_in_thread(config: SimulatorConfig | None = None) -> Iterator[QwenSimulator]:
    """A simulator that listens when the block begins and is gone when it ends.

    Its methods may be called from the block; `simulator.recorder.wait_for` waits for what it receives. An
    error while it starts is raised here.
    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(QwenSimulator(config)) as running,
    ):
        yield running
