"""CPU for each chunk of a stream that nothing has to be changed in."""

from collections.abc import Sequence
from functools import partial

from bench.client import chat
from bench.load import BURST_CHUNKS, STREAMS, Measured, chunk_cost, least_of, request_cost, warm_up
from bench.report import ON_CURRENT, ON_EMBEDDED, Section, Target, at_most, times
from bench.workers import CURRENT, LIMIT, OURS_B, OURS_D, PARSING, RELAY, Subject, running

HEADER = (
    "Worker",
    "paced, us a chunk",
    "to limit",
    "to parsing",
    "burst, ms a stream",
    "to limit",
    "to parsing",
)
Costs = dict[tuple[str, str], float]
"""Seconds by the Worker's name, and "paced" (a chunk) or "burst" (a stream of BURST_CHUNKS chunks)."""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All Workers in turn, on each workerd that is there."""
    rounds, chunks, bursts = (1, 200, 5) if quick else (2, 500, 10)
    with running(LIMIT, RELAY, OURS_B, OURS_D, PARSING, upstream_port=upstream_port) as workers:
        sections = [_ours(await _costs(workers, rounds, chunks, bursts), chunks)]
    if CURRENT is None:
        print("Current workerd is not measured: `tools/setup_environment.py --deploy` installs it.")
        return sections
    subjects = (subject._replace(workerd=CURRENT) for subject in (LIMIT, RELAY, PARSING))
    with running(*subjects, upstream_port=upstream_port) as workers:
        return [*sections, _pipes(await _costs(workers, rounds, chunks, bursts), CURRENT.version)]


async def _costs(workers: Sequence[Measured], rounds: int, chunks: int, bursts: int) -> Costs:
    paced, burst = (chat(2_000, bench=wish) for wish in (f"paced {chunks} 10", f"burst {BURST_CHUNKS}"))
    jobs = {}
    await warm_up(workers, chat(2_000, bench="burst 20"))
    for worker in workers:
        jobs[worker.name, "paced"] = partial(chunk_cost, worker, paced, chunks)
        jobs[worker.name, "burst"] = partial(request_cost, worker, burst, bursts)
    return await least_of(rounds, jobs)


def _rows(costs: Costs) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(name for name, _ in costs):
        paced, burst = costs[name, "paced"], costs[name, "burst"]
        rows.append(
            (
                name,
                f"{paced * 1e6:.1f}",
                times(paced, costs[LIMIT.name, "paced"]),
                times(paced, costs[PARSING.name, "paced"]),
                f"{burst * 1e3:.1f}",
                times(burst, costs[LIMIT.name, "burst"]),
                times(burst, costs[PARSING.name, "burst"]),
            )
        )
    return rows


def _ours(costs: Costs, chunks: int) -> Section:
    return Section(
        "CPU per chunk",
        ON_EMBEDDED,
        f"Paced: {STREAMS} streams at once, a chunk every 10 ms, {chunks} chunks each; what a stream "
        f"costs at its beginning and end is included. Burst: {BURST_CHUNKS:,} chunks at once, one stream "
        "after the other. This runtime makes two reads of each chunk; the current one does not. "
        f"{RELAY.name}: the same native calls with no Python around them.",
        HEADER,
        _rows(costs),
        _targets(costs, OURS_B, "B", 1.5),
    )


def _pipes(costs: Costs, version: str) -> Section:
    return Section(
        "CPU per chunk of the pipes alone",
        ON_CURRENT,
        f"As above on {version}: the same native calls from JavaScript.",
        HEADER,
        _rows(costs),
        _targets(costs, RELAY, "B's pipes", 1.45),
    )


def _targets(costs: Costs, subject: Subject, called: str, paced: float) -> list[Target]:
    """The targets of a relay: paced and then burst, each to the limit and to the parsing yardstick. `paced`:
    at most, to the limit.
    """

    def ratio(load: str, base: Subject) -> float:
        return costs[subject.name, load] / costs[base.name, load]

    return [
        at_most(f"CPU per paced chunk, {called}, to the limit", ratio("paced", LIMIT), paced),
        at_most("... to the parsing yardstick", ratio("paced", PARSING), 1.0),
        at_most(f"CPU per burst, {called}, to the limit", ratio("burst", LIMIT), 2.0),
        at_most("... to the parsing yardstick", ratio("burst", PARSING), 0.25),
    ]
