"""Virtual time: a sleep of hours takes no time, and the order of events is exact.

PyPI's looptime does the same, but hangs where a test waits for what never comes (here: Deadlock), has no
public class for use outside of pytest, and makes the simulation slower.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

START_MS = 1_800_000_000_000
"""What a new clock shows."""


class Deadlock(Exception):
    """Nothing is scheduled and the main coroutine has not ended: it waits for something that never comes."""


class _NoSelector(selectors.DefaultSelector):
    """Waits for nothing: passes the loop's waiting time to `advance` instead. There is no I/O here."""

    def __init__(self) -> None:
        super().__init__()
        self.advance: Callable[[float], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop that jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        selector = _NoSelector()
        super().__init__(selector)
        self._now = 0.0
        selector.advance = self._advance

    def time(self) -> float:
        return self._now

    def _advance(self, seconds: float) -> None:
        self._now += seconds


class VirtualClock:
    """The Clock port. In a `virtual` test its time is the loop's; on an ordinary loop, or none, it moves only
    when somebody sleeps. `advance` moves it in both.
    """

    def __init__(self, now_ms: int = START_MS) -> None:
        self._base_ms = now_ms
        self.slept_seconds: list[float] = []

    def now_ms(self) -> int:
        loop = asyncio._get_running_loop()
        return self._base_ms + (round(loop.time() * 1000) if isinstance(loop, VirtualTimeLoop) else 0)

    def advance(self, seconds: float) -> None:
        self._base_ms += int(seconds * 1000)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)

    async def sleep(self, seconds: float) -> None:
        self.slept_seconds.append(seconds)
        if not isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            self.advance(seconds)
        await pass_time(seconds)


async def pass_time(seconds: float) -> None:
    """The time that a fake takes for its work: `seconds` in a `virtual` test, one turn of the loop on an
    ordinary loop.
    """
    virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    await asyncio.sleep(seconds if virtual else 0)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` in a virtual-time loop and cancels what it leaves behind."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes an async test run in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run
