"""Runs a simulator in a thread with an event loop of its own, for synchronous tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulator.config import SimulatorConfig
from tests.simulator.server import QwenSimulator


@contextmanager
def run_in_thread(config: SimulatorConfig | None = None) -> Iterator[QwenSimulator]:
    """Run a simulator in a thread of its own; it listens when the block begins and is gone when it ends.

    Its methods may be called from the block; wait with `simulator.recorder.wait_for`. An error while
    starting is raised here.
    """
    simulator = QwenSimulator(config)
    started = threading.Event()
    failures: list[BaseException] = []
    loops: list[asyncio.AbstractEventLoop] = []
    stop = asyncio.Event()

    async def serve() -> None:
        async with simulator:
            loops.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="qwen-simulator", daemon=True)
    thread.start()
    started.wait()
    if failures:
        raise failures[0]
    try:
        yield simulator
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()
    if failures:
        raise failures[0]
