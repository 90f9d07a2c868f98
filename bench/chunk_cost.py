"""1. CPU of workerd for each chunk of a stream."""

import asyncio
from statistics import median
from typing import NamedTuple

from bench.client import Answer, ask_once, chat
from bench.report import Section, Target, at_most, times
from bench.workers import (
    CURRENT,
    LIMIT,
    OURS_B,
    OURS_D,
    PARSING,
    RELAY,
    RunningWorker,
    Subject,
    Workerd,
    running,
)

PACED_STREAMS = 30
BURST_CHUNKS = 2_000


class Cost(NamedTuple):
    """Seconds of CPU: a chunk of a paced stream, a stream of BURST_CHUNKS chunks at once."""

    paced: float
    burst: float


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Runs all Workers in turn, several rounds, and takes medians; on each runtime that is there."""
    rounds, chunks, bursts = (2, 300, 5) if quick else (3, 800, 12)
    plan = (rounds, chunks, bursts)
    sections = [_ours(await _costs((LIMIT, RELAY, OURS_B, OURS_D, PARSING), plan, upstream_port), chunks)]
    if CURRENT is not None:
        subjects = tuple(subject._replace(workerd=CURRENT) for subject in (LIMIT, RELAY, PARSING))
        sections.append(_pipes(await _costs(subjects, plan, upstream_port), CURRENT))
    return sections


async def _costs(
    subjects: tuple[Subject, ...], plan: tuple[int, int, int], upstream_port: int
) -> dict[str, Cost]:
    rounds, chunks, bursts = plan
    samples: dict[str, list[Cost]] = {subject.name: [] for subject in subjects}
    with running(*subjects, upstream_port=upstream_port) as workers:
        for worker in workers:
            await _burst(worker, 3)
        for _ in range(rounds):
            for worker in workers:
                samples[worker.name].append(Cost(await _paced(worker, chunks), await _burst(worker, bursts)))
    return {
        name: Cost(median(cost.paced for cost in costs), median(cost.burst for cost in costs))
        for name, costs in samples.items()
    }


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


HEADER = (
    "Worker",
    "paced, us a chunk",
    "to limit",
    "to parsing",
    "burst, ms a stream",
    "to limit",
    "to parsing",
)


def _rows(costs: dict[str, Cost]) -> list[tuple[str, ...]]:
    limit, parsing = costs[LIMIT.name], costs[PARSING.name]
    return [
        (
            name,
            f"{cost.paced * 1e6:.1f}",
            times(cost.paced, limit.paced),
            times(cost.paced, parsing.paced),
            f"{cost.burst * 1e3:.1f}",
            times(cost.burst, limit.burst),
            times(cost.burst, parsing.burst),
        )
        for name, cost in costs.items()
    ]


def _ours(costs: dict[str, Cost], chunks: int) -> Section:
    return Section(
        "1. CPU per chunk",
        f"Paced: {PACED_STREAMS} streams at once, a chunk every 10 ms, {chunks} chunks each; what a stream "
        f"costs at its beginning and end is included. Burst: {BURST_CHUNKS:,} chunks at once, one stream "
        "after the other. The embedded runtime makes two reads of each chunk; the current one does not. "
        f"{RELAY.name}: the same native calls with no Python around them.",
        HEADER,
        _rows(costs),
        _targets(
            costs,
            OURS_B,
            "CPU per paced chunk, B, to the limit",
            "CPU per paced chunk, B, to the parsing yardstick",
            "CPU per burst, B, to the limit",
            "CPU per burst, B, to the parsing yardstick",
        ),
    )


def _pipes(costs: dict[str, Cost], workerd: Workerd) -> Section:
    return Section(
        "1b. CPU per chunk on the current runtime",
        f"As above on {workerd.version}, which runs no Python without a download: the same native calls from "
        "JavaScript.",
        HEADER,
        _rows(costs),
        _targets(
            costs,
            RELAY,
            "the same on the current runtime, paced, to the limit",
            "... paced, to the parsing yardstick",
            "... burst, to the limit",
            "... burst, to the parsing yardstick",
        ),
    )


def _targets(costs: dict[str, Cost], subject: Subject, *names: str) -> list[Target]:
    """The targets of a relay: paced and then burst, each to the limit and to the parsing yardstick."""
    limit, parsing, ours = costs[LIMIT.name], costs[PARSING.name], costs[subject.name]
    reached = (
        (ours.paced / limit.paced, 1.5),
        (ours.paced / parsing.paced, 1.0),
        (ours.burst / limit.burst, 2.0),
        (ours.burst / parsing.burst, 0.25),
    )
    return [at_most(name, *values) for name, values in zip(names, reached, strict=True)]
