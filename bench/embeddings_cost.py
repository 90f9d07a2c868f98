"""Embeddings: ten texts, for 1,024 numbers each."""

from functools import partial
from typing import NamedTuple

from bench.client import post
from bench.load import least_of, request_cost, warm_up
from bench.report import ON_EMBEDDED, Section, at_most, times
from bench.workers import LIMIT, OURS_B, PASSING, running

_REQUEST = {
    "model": "text-embedding-v4",
    "input": [
        f"A text of some length, number {number}, to be found again later. " * 4 for number in range(10)
    ],
    "dimensions": 1024,
    "user": "embeddings 10",
}
FLOATS = post("/v1/embeddings", {**_REQUEST, "encoding_format": "float"})
BASE64 = post("/v1/embeddings", {**_REQUEST, "encoding_format": "base64"})


class Costs(NamedTuple):
    """Seconds of CPU a request, by Worker."""

    limit: float
    passing: float
    floats: float
    base64: float


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """As the host answers, and made base64, against Workers that pass the floats on."""
    count = 20 if quick else 100
    with running(LIMIT, PASSING, OURS_B, upstream_port=upstream_port) as workers:
        await warm_up(workers, FLOATS)
        limit, passing, ours = workers
        jobs = {
            "limit": partial(request_cost, limit, FLOATS, count),
            "passing": partial(request_cost, passing, FLOATS, count),
            "floats": partial(request_cost, ours, FLOATS, count),
            "base64": partial(request_cost, ours, BASE64, count),
        }
        costs = await least_of(2 if quick else 4, jobs)
    return [section(ON_EMBEDDED, Costs(**costs))]


def section(runtime: str, costs: Costs) -> Section:
    """The table of one runtime."""
    names = (LIMIT.name, PASSING.name, "ours, floats", "ours, base64")
    return Section(
        "Embeddings",
        runtime,
        "10 inputs of some 270 characters, 10 x 1,024 numbers back: CPU in ms a request.",
        ("", "10 x 1,024", "to limit", "to passing on"),
        [
            (name, f"{cost * 1e3:.2f}", times(cost, costs.limit), times(cost, costs.passing))
            for name, cost in zip(names, costs, strict=True)
        ],
        [
            at_most(
                "10 x 1,024 floats, to a Python Worker that passes on", costs.floats / costs.passing, 2.0
            ),
            at_most("... in base64, more than as floats", (costs.base64 - costs.floats) * 1e3, 5.0, "ms"),
        ],
    )
