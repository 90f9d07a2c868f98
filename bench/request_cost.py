"""2. CPU of workerd for a request that is no stream."""

from statistics import median

from bench.client import chat, connect, get
from bench.report import Section, at_most
from bench.workers import EMPTY, LIMIT, OURS_B, PARSING, PASSING, RunningWorker, running

ROUNDS = 5


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Asks each Worker for each kind of request in turn, several rounds, and takes medians."""
    scale = 0.2 if quick else 1.0
    requests = {
        "/v1/models": (get("/v1/models"), 400),
        "2 KB": (chat(2_000), 400),
        "200 KB": (chat(200_000), 100),
        "2 MB": (chat(2_000_000), 20),
    }
    # These know chats only; the empty one closes the connection on a large body unread.
    skipped = {
        (LIMIT.name, "/v1/models"),
        (PARSING.name, "/v1/models"),
        (PASSING.name, "/v1/models"),
        (EMPTY.name, "200 KB"),
        (EMPTY.name, "2 MB"),
    }
    costs: dict[str, dict[str, float]] = {}
    with running(LIMIT, PARSING, EMPTY, PASSING, OURS_B, upstream_port=upstream_port) as workers:
        for worker in workers:
            costs[worker.name] = {}
            await _cost(worker, requests["2 KB"][0], 20)
        for kind, (request, count) in requests.items():
            samples: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                for worker in workers:
                    if (worker.name, kind) not in skipped:
                        seconds = await _cost(worker, request, max(3, int(count * scale)))
                        samples.setdefault(worker.name, []).append(seconds)
            for name, values in samples.items():
                costs[name][kind] = median(values)
    ours, empty, parsing = costs[OURS_B.name], costs[EMPTY.name], costs[PARSING.name]
    section = Section(
        "2. CPU per request",
        "One request after the other on one connection; the conversation has this size, the answer is small. "
        "In ms.",
        ("Worker", *requests),
        [
            (name, *(f"{cost[kind] * 1e3:.2f}" if kind in cost else "-" for kind in requests))
            for name, cost in costs.items()
        ],
        [
            at_most("CPU of a 2 KB request, to an empty Python Worker", ours["2 KB"] / empty["2 KB"], 1.5),
            at_most(
                "CPU of a 200 KB request, to the parsing yardstick", ours["200 KB"] / parsing["200 KB"], 1.0
            ),
        ],
    )
    return [section]


async def _cost(worker: RunningWorker, request: bytes, count: int) -> float:
    """Seconds of CPU a request."""
    connection = await connect(worker.port)
    before = worker.cpu_seconds()
    for _ in range(count):
        answer = await connection.ask(request)
        if answer.status != 200:
            raise RuntimeError(f"{worker.name} answered {answer.status}")
    seconds = (worker.cpu_seconds() - before) / count
    connection.close()
    return seconds
