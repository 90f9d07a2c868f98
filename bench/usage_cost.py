"""What usage costs a request: our Worker with and without the database, in one run."""

from statistics import fmean

from bench.client import chat
from bench.load import Measured, first_bytes, percentile, request_cost, warm_up
from bench.report import ON_EMBEDDED, Section, at_most
from bench.workers import variables_for
from tests.worker.harness.direct_worker import DirectWorker, direct_worker

KINDS = {"2 KB": (chat(2_000), 200), "2 KB, a stream of 100 chunks": (chat(2_000, bench="burst 100"), 60)}
"""What is asked, and how often in a round."""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Both Workers in turn, each as the first in every other round. CPU is the mean of all rounds, since
    usage is written in some of them only.
    """
    scale = 10 if quick else 1
    variables = variables_for(upstream_port)
    cpu: dict[tuple[str, str], list[float]] = {}
    first: dict[tuple[str, str], float] = {}
    with direct_worker(variables, database="missing") as without, direct_worker(variables) as kept:
        workers = [_measured("without", without), _measured("with usage", kept)]
        await warm_up(workers, KINDS["2 KB"][0])
        for _ in range(4 if quick else 16):
            workers.reverse()
            for kind, (request, count) in KINDS.items():
                for worker in workers:
                    cost = await request_cost(worker, request, max(10, count // scale))
                    cpu.setdefault((worker.name, kind), []).append(cost)
        for kind, (request, count) in KINDS.items():
            found = await first_bytes({worker.name: (worker.port, request) for worker in workers}, count)
            first |= {(name, kind): percentile(values, 50) for name, values in found.items()}
    mean = {place: fmean(values) for place, values in cpu.items()}
    return [
        Section(
            "Usage",
            ON_EMBEDDED,
            "CPU of workerd, its D1 included, and the time to the first byte, p50, in ms a request.",
            ("Worker", *(f"CPU, {kind}" for kind in KINDS), *(f"first byte, {kind}" for kind in KINDS)),
            [
                (
                    worker.name,
                    *(f"{costs[worker.name, kind] * 1e3:.2f}" for costs in (mean, first) for kind in KINDS),
                )
                for worker in workers
            ],
            [
                at_most(
                    "CPU of a 2 KB request with usage, to without",
                    mean["with usage", "2 KB"] / mean["without", "2 KB"],
                    1.03,
                ),
                at_most(
                    "first byte with usage, later than without",
                    max(first["with usage", kind] - first["without", kind] for kind in KINDS) * 1e3,
                    0.1,
                    "ms",
                ),
            ],
        )
    ]


def _measured(name: str, worker: DirectWorker) -> Measured:
    return Measured(name, int(worker.base_url.rpartition(":")[2]), worker.pid)
