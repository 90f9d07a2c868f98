"""CPU of a request that is no stream."""

from functools import partial

from bench.client import chat, get
from bench.load import least_of, request_cost, warm_up
from bench.report import ON_EMBEDDED, Section, at_most
from bench.workers import EMPTY, LIMIT, OURS_B, PARSING, PASSING, running

REQUESTS = {
    "/v1/models": (get("/v1/models"), 400),
    "2 KB": (chat(2_000), 400),
    "200 KB": (chat(200_000), 100),
    "2 MB": (chat(2_000_000), 20),
}
"""What is asked, and how often in a round."""

SKIPPED = {
    (LIMIT.name, "/v1/models"),
    (PARSING.name, "/v1/models"),
    (PASSING.name, "/v1/models"),
    (EMPTY.name, "200 KB"),
    (EMPTY.name, "2 MB"),
}
"""These know chats only; the empty one closes the connection on a large body unread."""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All Workers in turn, each kind of request."""
    jobs = {}
    with running(LIMIT, PARSING, EMPTY, PASSING, OURS_B, upstream_port=upstream_port) as workers:
        await warm_up(workers, REQUESTS["2 KB"][0])
        for worker in workers:
            for kind, (request, count) in REQUESTS.items():
                if (worker.name, kind) not in SKIPPED:
                    count = max(3, count // 5) if quick else count
                    jobs[worker.name, kind] = partial(request_cost, worker, request, count)
        costs = await least_of(2 if quick else 5, jobs)

    def ratio(kind: str, base: str) -> float:
        return costs[OURS_B.name, kind] / costs[base, kind]

    section = Section(
        "CPU per request",
        ON_EMBEDDED,
        "One request after the other on one connection; the conversation has this size, the answer is small. "
        "In ms.",
        ("Worker", *REQUESTS),
        [
            (
                worker.name,
                *(
                    f"{costs[worker.name, kind] * 1e3:.2f}" if (worker.name, kind) in costs else "-"
                    for kind in REQUESTS
                ),
            )
            for worker in workers
        ],
        [
            at_most("CPU of a 2 KB request, to an empty Python Worker", ratio("2 KB", EMPTY.name), 1.5),
            at_most("CPU of a 200 KB request, to the parsing yardstick", ratio("200 KB", PARSING.name), 1.0),
        ],
    )
    return [section]
