"""Embeddings: ten texts, for 1,024 numbers each."""

from functools import partial

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


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """As the host answers, and made base64, against a pass-through of the floats."""
    count = 20 if quick else 100
    with running(LIMIT, PASSING, OURS_B, upstream_port=upstream_port) as (limit, passing, ours):
        await warm_up([limit, passing, ours], FLOATS)
        jobs = {
            LIMIT.name: partial(request_cost, limit, FLOATS, count),
            PASSING.name: partial(request_cost, passing, FLOATS, count),
            "ours, floats": partial(request_cost, ours, FLOATS, count),
            "ours, base64": partial(request_cost, ours, BASE64, count),
        }
        costs = await least_of(2 if quick else 4, jobs)
    floats, base64 = costs["ours, floats"], costs["ours, base64"]
    return [
        Section(
            "Embeddings",
            ON_EMBEDDED,
            "10 inputs of some 270 characters, 10 x 1,024 numbers back: CPU in ms a request.",
            ("", "10 x 1,024", "to limit"),
            [(name, f"{cost * 1e3:.2f}", times(cost, costs[LIMIT.name])) for name, cost in costs.items()],
            [
                at_most("10 x 1,024 floats, to a pass-through", floats / costs[LIMIT.name], 2.0),
                at_most("... in base64, more than as floats", (base64 - floats) * 1e3, 5.0, "ms"),
            ],
        )
    ]
