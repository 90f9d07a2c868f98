"""What chunks, requests and first bytes cost on production's Pyodides in Node.js."""

from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from bench import embeddings_cost
from bench.client import chat, response
from bench.load import (
    BURST_CHUNKS,
    STREAMS,
    Measured,
    chunk_cost,
    first_bytes,
    least_of,
    percentile,
    request_cost,
    warm_up,
)
from bench.pyodides import installed, javascript, passing_and_ours
from bench.report import Section, at_most, times
from bench.workers import LIMIT, PARSING, RELAY

REQUESTS = {"2 KB": (chat(2_000), 100), "200 KB": (chat(200_000), 30), "2 MB": (chat(2_000_000), 6)}
"""What is asked, and how often in a round."""

FIRST_BYTE = chat(2_000, bench="paced 3 2")


class Plan(NamedTuple):
    """How much is measured."""

    request_rounds: int = 5
    stream_rounds: int = 2
    chunks: int = 300
    bursts: int = 10
    first_bytes: int = 220


QUICK = Plan(1, 1, 100, 3, 50)


class Compared(NamedTuple):
    """The Workers of one Pyodide's tables. The scripts are the same processes for both Pyodides."""

    limit: Measured
    pipes: Measured
    parsing: Measured
    passing: Measured
    ours: Measured


Costs = dict[tuple[Measured, str], float]
"""Seconds of CPU by Worker and load: a size of REQUESTS, "floats" and "base64" (embeddings), "paced" and
"burst" (a chunk), or the latter two with "Responses" before them.
"""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All Workers of both Pyodides in turn; four tables for each Pyodide."""
    runtimes = installed()
    if not runtimes:
        print("Nothing is measured in Node.js: `tools/setup_environment.py --production` installs Pyodide.")
        return []
    plan = QUICK if quick else Plan()
    with ExitStack() as stack:
        limit, pipes, parsing = stack.enter_context(
            javascript(LIMIT, RELAY, PARSING, upstream_port=upstream_port)
        )
        pairs = [stack.enter_context(passing_and_ours(runtime, upstream_port)) for runtime in runtimes]
        by_runtime = {
            f"{runtime.name} in Node.js": Compared(limit, pipes, parsing, *pair)
            for runtime, pair in zip(runtimes, pairs, strict=True)
        }
        workers = list(dict.fromkeys(worker for compared in by_runtime.values() for worker in compared))
        costs = await _costs(workers, [pair[1] for pair in pairs], plan)
        first = await first_bytes({worker: (worker.port, FIRST_BYTE) for worker in workers}, plan.first_bytes)
    medians = {worker: percentile(seconds, 50) for worker, seconds in first.items()}
    return [
        section
        for runtime, compared in by_runtime.items()
        for section in (
            _chunk_section(runtime, compared, costs, plan),
            _request_section(runtime, compared, costs),
            _embeddings_section(runtime, compared, costs),
            _first_byte_section(runtime, compared, medians),
        )
    ]


async def _costs(workers: Collection[Measured], ours: Collection[Measured], plan: Plan) -> Costs:
    await warm_up(workers, chat(2_000, bench="burst 20"), 300)
    requests = {
        (worker, kind): partial(request_cost, worker, request, count)
        for kind, (request, count) in REQUESTS.items()
        for worker in workers
    }
    for worker in workers:
        if worker.name not in (RELAY.name, PARSING.name):
            requests[worker, "floats"] = partial(request_cost, worker, embeddings_cost.FLOATS, 30)
    for worker in ours:
        requests[worker, "base64"] = partial(request_cost, worker, embeddings_cost.BASE64, 30)
    streams: dict[tuple[Measured, str], Callable[[], Awaitable[float]]] = {}
    for worker in workers:
        paced, burst = (chat(2_000, bench=wish) for wish in _wishes(plan))
        streams[worker, "paced"] = partial(chunk_cost, worker, paced, plan.chunks)
        streams[worker, "burst"] = partial(_burst_cost, worker, burst, plan.bursts)
    for worker in ours:
        paced, burst = (response(bench=wish) for wish in _wishes(plan))
        streams[worker, "Responses paced"] = partial(chunk_cost, worker, paced, plan.chunks)
        streams[worker, "Responses burst"] = partial(_burst_cost, worker, burst, plan.bursts)
    return await least_of(plan.request_rounds, requests) | await least_of(plan.stream_rounds, streams)


def _wishes(plan: Plan) -> tuple[str, str]:
    return f"paced {plan.chunks} 10", f"burst {BURST_CHUNKS}"


async def _burst_cost(worker: Measured, request: bytes, count: int) -> float:
    return await request_cost(worker, request, count) / BURST_CHUNKS


def _chunk_section(runtime: str, compared: Compared, costs: Costs, plan: Plan) -> Section:
    _, pipes, parsing, passing, ours = compared
    rows: list[tuple[str, ...]] = []
    for api, worker in [*(("", worker) for worker in compared), ("Responses ", ours)]:
        row = [worker.name + (api and f", {api.strip()}")]
        for load in ("paced", "burst"):
            cost = costs[worker, api + load]
            row += [f"{cost * 1e6:.1f}", times(cost, costs[passing, load]), times(cost, costs[parsing, load])]
        rows.append(tuple(row))
    return Section(
        "CPU per chunk",
        runtime,
        f"Paced: {STREAMS} streams at once, a chunk every 10 ms, {plan.chunks} chunks each. Burst: "
        f"{BURST_CHUNKS:,} chunks at once, one stream after the other. A native stream on workerd is to cost "
        "at most 1.45 x a pass-through, where the pipes alone cost 1.35 x: that is 1.07 x the pipes.",
        (
            "Worker",
            "paced, us a chunk",
            "to passing on",
            "to parsing",
            "burst, us a chunk",
            "to passing on",
            "to parsing",
        ),
        rows,
        [
            at_most(
                "a native stream, paced, to the same pipes in JavaScript",
                costs[ours, "paced"] / costs[pipes, "paced"],
                1.07,
            ),
            at_most(
                "Responses, a chunk every 10 ms, to the parsing yardstick",
                costs[ours, "Responses paced"] / costs[parsing, "paced"],
                0.9,
            ),
            at_most("... a burst", costs[ours, "Responses burst"] / costs[parsing, "burst"], 0.7),
        ],
    )


def _request_section(runtime: str, compared: Compared, costs: Costs) -> Section:
    base = {kind: costs[compared.passing, kind] for kind in REQUESTS}
    ours = {kind: costs[compared.ours, kind] for kind in REQUESTS}
    rows: list[tuple[str, ...]] = []
    for worker in (compared.limit, compared.parsing, compared.passing, compared.ours):
        row = [worker.name]
        for kind in REQUESTS:
            row += [f"{costs[worker, kind] * 1e3:.2f}", times(costs[worker, kind], base[kind])]
        rows.append(tuple(row))
    return Section(
        "CPU per request",
        runtime,
        "One request after the other on one connection; the conversation has this size, the answer is small. "
        "In ms.",
        ("Worker", *(head for kind in REQUESTS for head in (kind, "to passing on"))),
        rows,
        [
            at_most(
                "CPU of a 2 KB request less 0.35 ms, to a Python Worker that passes on",
                (ours["2 KB"] - 0.35e-3) / base["2 KB"],
                1.25,
            ),
            at_most("CPU of a 200 KB request, to the same", ours["200 KB"] / base["200 KB"], 1.4),
            at_most("CPU of a 2 MB request, to the same", ours["2 MB"] / base["2 MB"], 1.6),
        ],
    )


def _embeddings_section(runtime: str, compared: Compared, costs: Costs) -> Section:
    limit, passing, floats = (
        costs[worker, "floats"] for worker in (compared.limit, compared.passing, compared.ours)
    )
    found = embeddings_cost.Costs(limit, passing, floats, costs[compared.ours, "base64"])
    return embeddings_cost.section(runtime, found)


def _first_byte_section(runtime: str, compared: Compared, medians: dict[Measured, float]) -> Section:
    limit, passing = medians[compared.limit], medians[compared.passing]
    return Section(
        "Time to first byte",
        runtime,
        "Streams one after the other on one connection: p50 in ms.",
        ("Worker", "first byte", "over the limit", "over passing on"),
        [
            (
                worker.name,
                f"{medians[worker] * 1e3:.2f}",
                f"{(medians[worker] - limit) * 1e3:+.2f}",
                f"{(medians[worker] - passing) * 1e3:+.2f}",
            )
            for worker in (compared.limit, compared.passing, compared.ours)
        ],
        [
            at_most(
                "time to first byte over a Python Worker that passes on",
                (medians[compared.ours] - passing) * 1e3,
                0.8,
                "ms",
            )
        ],
    )
