"""1. CPU of workerd for each chunk of a stream."""

import asyncio
from statistics import median

from bench.client import Answer, ask_once, chat
from bench.report import Section, at_most, times
from bench.workers import LIMIT, OURS_B, OURS_D, PARSING, RunningWorker, running

PACED_STREAMS = 30
BURST_CHUNKS = 2_000


async def measure(upstream_port: int, *, quick: bool) -> Section:
    """Runs all four Workers in turn, several rounds, and takes medians."""
    rounds, chunks, bursts = (2, 300, 5) if quick else (3, 1_000, 20)
    with running(LIMIT, OURS_B, OURS_D, PARSING, upstream_port=upstream_port) as workers:
        for worker in workers:
            await _burst(worker, 3)
        paced: dict[str, list[float]] = {worker.name: [] for worker in workers}
        burst: dict[str, list[float]] = {worker.name: [] for worker in workers}
        for _ in range(rounds):
            for worker in workers:
                paced[worker.name].append(await _paced(worker, chunks))
                burst[worker.name].append(await _burst(worker, bursts))
    return _section(
        {name: median(values) for name, values in paced.items()},
        {name: median(values) for name, values in burst.items()},
        chunks,
    )


async def _paced(worker: RunningWorker, chunks: int) -> float:
    """Seconds a chunk, each stream's beginning and end included."""
    request = chat(2_000, bench=f"paced {chunks} 10")
    before = worker.cpu_seconds()
    answers = await asyncio.gather(*(ask_once(worker.port, request) for _ in range(PACED_STREAMS)))
    _check(worker, answers)
    return (worker.cpu_seconds() - before) / (PACED_STREAMS * chunks)


async def _burst(worker: RunningWorker, count: int) -> float:
    """Seconds a stream of BURST_CHUNKS chunks."""
    request = chat(2_000, bench=f"burst {BURST_CHUNKS}")
    before = worker.cpu_seconds()
    answers = [await ask_once(worker.port, request) for _ in range(count)]
    _check(worker, answers)
    return (worker.cpu_seconds() - before) / count


def _check(worker: RunningWorker, answers: list[Answer]) -> None:
    broken = [answer for answer in answers if not answer.is_complete_stream]
    if broken:
        raise RuntimeError(f"{worker.name}: {len(broken)} streams are not complete: {broken[0]}")


def _section(paced: dict[str, float], burst: dict[str, float], chunks: int) -> Section:
    limit, parsing, ours = LIMIT.name, PARSING.name, OURS_B.name
    rows = [
        (
            name,
            f"{paced[name] * 1e6:.1f}",
            times(paced[name], paced[limit]),
            times(paced[name], paced[parsing]),
            f"{burst[name] * 1e3:.1f}",
            times(burst[name], burst[limit]),
            times(burst[name], burst[parsing]),
        )
        for name in paced
    ]
    return Section(
        "1. CPU per chunk",
        f"Paced: {PACED_STREAMS} streams at once, a chunk every 10 ms, {chunks} chunks each; what a stream "
        f"costs at its beginning and end is included. Burst: {BURST_CHUNKS:,} chunks at once, one stream "
        "after the other.",
        (
            "Worker",
            "paced, us a chunk",
            "to limit",
            "to parsing",
            "burst, ms a stream",
            "to limit",
            "to parsing",
        ),
        rows,
        [
            at_most("CPU per paced chunk, B, to the limit", paced[ours] / paced[limit], 1.5),
            at_most("CPU per paced chunk, B, to the parsing yardstick", paced[ours] / paced[parsing], 1.0),
            at_most("CPU per burst, B, to the limit", burst[ours] / burst[limit], 2.0),
            at_most("CPU per burst, B, to the parsing yardstick", burst[ours] / burst[parsing], 0.25),
        ],
    )
