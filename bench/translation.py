"""Streams that Python translates, event by event: chat completions and the Responses API."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from bench.client import chat, response, text_delays
from bench.load import (
    BURST_CHUNKS,
    STREAMS,
    Measured,
    chunk_cost,
    least_of,
    percentile,
    request_cost,
    warm_up,
)
from bench.report import ON_EMBEDDED, Section, Target, at_most
from bench.workers import OURS_D, PARSING, running

TRANSLATED = {"n": 2}
"""A chat with two choices is always translated."""

LOADS = ("10 ms", "50 ms", "burst")
GOALS = {"10 ms": 0.9, "50 ms": 1.2, "burst": 0.7}
"""At most, to the parsing yardstick."""

LONGEST_DELAY_MS = 120
_DELAYED_CHUNKS = 100
RESPONSES = "Responses (D)"


Jobs = dict[tuple[str, str], Callable[[], Awaitable[float]]]


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All in turn, several rounds; then the delays of the texts."""
    rounds, chunks, bursts = (1, 25, 3) if quick else (3, 250, 8)
    delays: dict[str, list[float]] = {}
    with running(PARSING, OURS_D, upstream_port=upstream_port) as workers:
        yardstick, ours = workers
        jobs = {
            **_jobs(yardstick, PARSING.name, chunks, bursts, is_response=False),
            **_jobs(ours, OURS_D.name, chunks, bursts, is_response=False),
            **_jobs(ours, RESPONSES, chunks, bursts, is_response=True),
        }
        await warm_up(workers, chat(2_000, bench="burst 20", **TRANSLATED))
        await warm_up([ours], response(bench="burst 20"))
        costs = await least_of(rounds, jobs)
        for worker in workers:
            delays[worker.name] = await _delays(worker, min(chunks, _DELAYED_CHUNKS))
    return [_section(costs, delays, chunks)]


def _jobs(worker: Measured, name: str, chunks: int, bursts: int, *, is_response: bool) -> Jobs:
    """What is measured of one Worker through one API; costs are seconds a chunk, and a burst."""

    def stream(wish: str) -> bytes:
        return response(bench=wish) if is_response else chat(2_000, bench=wish, **TRANSLATED)

    return {
        (name, "10 ms"): partial(chunk_cost, worker, stream(f"paced {chunks} 10"), chunks),
        (name, "50 ms"): partial(chunk_cost, worker, stream(f"paced {chunks} 50"), chunks),
        (name, "burst"): partial(request_cost, worker, stream(f"burst {BURST_CHUNKS}"), bursts),
    }


async def _delays(worker: Measured, chunks: int) -> list[float]:
    """Seconds from when the upstream sends a text to its arrival, of texts 50 ms apart."""
    request = chat(2_000, bench=f"stamped {chunks} 50", **TRANSLATED)
    found = await asyncio.gather(*(text_delays(worker.port, request) for _ in range(STREAMS)))
    return [delay for delays in found for delay in delays]


def _section(costs: dict[tuple[str, str], float], delays: dict[str, list[float]], chunks: int) -> Section:
    rows = []
    targets: list[Target] = []
    for name in dict.fromkeys(name for name, _ in costs):
        shares = {load: costs[name, load] / costs[PARSING.name, load] for load in LOADS}
        row = [name]
        for load in LOADS:
            cost = costs[name, load]
            row += [f"{cost * 1e3:.1f}" if load == "burst" else f"{cost * 1e6:.1f}", f"{shares[load]:.2f} x"]
        texts = delays.get(name)
        row += [f"{percentile(texts, share) * 1e3:.1f}" if texts else "-" for share in (50, 99)]
        rows.append(tuple(row))
        if name != PARSING.name:
            targets += [
                at_most(
                    f"translated, {name}: {load}, to the parsing yardstick"
                    if load == LOADS[0]
                    else f"... {load}",
                    shares[load],
                    goal,
                )
                for load, goal in GOALS.items()
            ]
            if texts:
                longest = max(texts) * 1e3
                targets.append(
                    at_most("... the longest that a text is held back", longest, LONGEST_DELAY_MS, "ms")
                )
    return Section(
        "Translated streams",
        ON_EMBEDDED,
        f"{STREAMS} streams at once of {chunks} chunks each, one every 10 or every 50 ms; what a stream "
        f"costs at its beginning and end is included. A burst is {BURST_CHUNKS:,} chunks. Chats with two "
        "choices, which are always translated, and the Responses API. Delay: of a text, from upstream to "
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
        rows,
        targets,
    )
