"""Background work as tasks."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class TaskBackground:
    """The Background port: tasks that outlive the request. `tasks` are those that still run."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.spawned = 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.spawned += 1
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def finished(self) -> None:
        """Waits until all spawned work, and what it spawned, is done. Shows its errors."""
        while self.tasks:
            await asyncio.gather(*self.tasks)

    async def settle(self, seconds: float) -> None:
        """Waits until the work is done, but so long at most."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=seconds)

    def cancel(self) -> None:
        """Ends all work, as the end of its isolate does."""
        for task in self.tasks:
            task.cancel()
