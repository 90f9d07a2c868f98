"""7. A stream that Python translates, event by event."""

import asyncio
from typing import NamedTuple

from bench.client import ask_once, chat, text_delays
from bench.latency import percentile
from bench.report import Section, at_most, times
from bench.workers import OURS_B, OURS_D, PARSING, RunningWorker, running

STREAMS = 30
BURST_CHUNKS = 2_000
TRANSLATED = {"n": 2}
"""A request for two choices is always translated."""


class Cost(NamedTuple):
    """Seconds of CPU: a chunk of a stream with one every 10 ms, with one every 50 ms, and a burst."""

    quick: float
    slow: float
    burst: float


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All Workers in turn, several rounds."""
    rounds, chunks, bursts = (2, 200, 5) if quick else (5, 600, 12)
    subjects = (PARSING, OURS_B, OURS_D)
    costs: dict[str, list[Cost]] = {subject.name: [] for subject in subjects}
    delays: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    with running(*subjects, upstream_port=upstream_port) as workers:
        for worker in workers:
            await _burst(worker, 3)
        for _ in range(rounds):
            for worker in workers:
                cost = Cost(
                    await _paced(worker, chunks, 10),
                    await _paced(worker, chunks // 2, 50),
                    await _burst(worker, bursts),
                )
                costs[worker.name].append(cost)
        for worker in workers:
            delays[worker.name] = await _delays(worker, chunks // 4)
    return [_section({name: _least(rounds) for name, rounds in costs.items()}, delays, chunks)]


def _least(costs: list[Cost]) -> Cost:
    return Cost(*(min(values) for values in zip(*costs, strict=True)))


async def _paced(worker: RunningWorker, chunks: int, pause_ms: int) -> float:
    """Seconds a chunk, each stream's beginning and end included."""
    request = chat(2_000, bench=f"paced {chunks} {pause_ms}", **TRANSLATED)
    before = worker.cpu_seconds()
    answers = await asyncio.gather(*(ask_once(worker.port, request) for _ in range(STREAMS)))
    assert all(answer.is_complete_stream for answer in answers), worker.name
    return (worker.cpu_seconds() - before) / (STREAMS * chunks)


async def _burst(worker: RunningWorker, count: int) -> float:
    """Seconds a stream of BURST_CHUNKS chunks."""
    request = chat(2_000, bench=f"burst {BURST_CHUNKS}", **TRANSLATED)
    before = worker.cpu_seconds()
    for _ in range(count):
        answer = await ask_once(worker.port, request)
        assert answer.is_complete_stream, worker.name
    return (worker.cpu_seconds() - before) / count


async def _delays(worker: RunningWorker, chunks: int) -> list[float]:
    """Seconds from when the upstream sends a text to its arrival, of texts 50 ms apart."""
    request = chat(2_000, bench=f"stamped {chunks} 50", **TRANSLATED)
    return [
        delay
        for found in await asyncio.gather(*(text_delays(worker.port, request) for _ in range(STREAMS)))
        for delay in found
    ]


def _section(costs: dict[str, Cost], delays: dict[str, list[float]], chunks: int) -> Section:
    parsing = costs[PARSING.name]
    targets = []
    for name in (OURS_D.name, OURS_B.name):
        ours = costs[name]
        targets += [
            at_most(
                f"translated, {name}: a chunk every 10 ms, to the parsing yardstick",
                ours.quick / parsing.quick,
                0.9,
            ),
            at_most("... every 50 ms", ours.slow / parsing.slow, 1.2),
            at_most("... a burst", ours.burst / parsing.burst, 0.7),
            at_most("... the longest that a text is held back", max(delays[name]) * 1e3, 120, "ms"),
        ]
    return Section(
        "7. Translated streams",
        f"{STREAMS} streams at once, {chunks} chunks each, half of them when they come every 50 ms; a burst "
        f"is {BURST_CHUNKS:,} chunks. The least of all rounds. Delay: of a text, from upstream to "
        "client.",
        (
            "Worker",
            "10 ms, us a chunk",
            "to parsing",
            "50 ms, us a chunk",
            "to parsing",
            "burst, ms",
            "to parsing",
            "delay p50, ms",
            "p99",
        ),
        [
            (
                name,
                f"{cost.quick * 1e6:.1f}",
                times(cost.quick, parsing.quick),
                f"{cost.slow * 1e6:.1f}",
                times(cost.slow, parsing.slow),
                f"{cost.burst * 1e3:.1f}",
                times(cost.burst, parsing.burst),
                f"{percentile(delays[name], 50) * 1e3:.1f}",
                f"{percentile(delays[name], 99) * 1e3:.1f}",
            )
            for name, cost in costs.items()
        ],
        targets,
    )
