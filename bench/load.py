"""Loads on a Worker, and what they cost it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from bench.client import ask_once, connect

STREAMS = 30
"""How many paced streams run at the same time."""

BURST_CHUNKS = 2_000
_PAGE_BYTES = 4096
_WHOLE_PROCESS = 2
"""Of the clock that Linux has for each process: CPU time of all threads, precise to the scheduler."""

Name = TypeVar("Name")


class Measured:
    """A process that serves one Worker on a port of loopback."""

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name = name
        self.port = port
        self.pid = pid

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, user and system (the clock of clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.pid << 3 | _WHOLE_PROCESS)

    def memory_bytes(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES


async def least_of(rounds: int, jobs: Mapping[Name, Callable[[], Awaitable[float]]]) -> dict[Name, float]:
    """Runs all jobs in turn, several rounds. The least that each returned: a busy machine only adds."""
    found: dict[Name, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            found[name].append(await job())
    return {name: min(values) for name, values in found.items()}


async def request_cost(worker: Measured, request: bytes, count: int) -> float:
    """Seconds of CPU a request: one after the other on one connection."""
    connection = await connect(worker.port)
    before = worker.cpu_seconds()
    for _ in range(count):
        answer = await connection.ask(request)
        if not answer.is_complete:
            raise RuntimeError(f"{worker.name}: {answer}")
    seconds = (worker.cpu_seconds() - before) / count
    connection.close()
    return seconds


async def warm_up(workers: Iterable[Measured], request: bytes, count: int = 200) -> None:
    """Sends so many requests that the runtimes have compiled what is called often."""
    for worker in workers:
        await request_cost(worker, request, count)


async def chunk_cost(worker: Measured, request: bytes, chunks: int) -> float:
    """Seconds of CPU a chunk of STREAMS streams at once; what a stream costs at its beginning and end is
    included.
    """
    before = worker.cpu_seconds()
    answers = await asyncio.gather(*(ask_once(worker.port, request) for _ in range(STREAMS)))
    broken = [answer for answer in answers if not answer.is_complete]
    if broken:
        raise RuntimeError(f"{worker.name}: {len(broken)} streams are not complete: {broken[0]}")
    return (worker.cpu_seconds() - before) / (STREAMS * chunks)


async def first_bytes(asked: Mapping[Name, tuple[int, bytes]], count: int) -> dict[Name, list[float]]:
    """Sends each request to its port in turn, `count` times. Seconds to the first byte of each answer; those
    of the first tenth are left out.
    """
    connections = {name: await connect(port) for name, (port, _) in asked.items()}
    seconds: dict[Name, list[float]] = {name: [] for name in asked}
    for _ in range(count):
        for name, connection in connections.items():
            answer = await connection.ask(asked[name][1])
            if not answer.is_complete:
                raise RuntimeError(f"{name}: {answer}")
            seconds[name].append(answer.first_byte_seconds)
    for connection in connections.values():
        connection.close()
    return {name: values[count // 10 :] for name, values in seconds.items()}


def percentile(values: list[float], share: int) -> float:
    """The value that `share` percent of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
