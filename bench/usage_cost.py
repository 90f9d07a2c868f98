"""8. What usage costs a request: our Worker with and without the database, in one run."""

from collections.abc import Callable
from statistics import fmean, median
from time import perf_counter

import psutil

from bench.client import CLIENT_KEY, chat, connect
from bench.report import Section, at_most
from tests.worker.harness.direct_worker import direct_worker

ROUNDS = 10
_KINDS: dict[str, tuple[Callable[[], bytes], int]] = {
    "2 KB": (lambda: chat(2_000), 200),
    "2 KB, a stream of 100 chunks": (lambda: chat(2_000, bench="burst 100"), 60),
}


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Asks both Workers in turn, several rounds. A round is too short for the steps in which CPU is told, so
    that CPU is summed up.
    """
    variables = {
        "QWEN_API_KEY": "bench-api-key",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
        "OPENAI_API_KEY": CLIENT_KEY,
    }
    samples: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with direct_worker(variables, database="missing") as without, direct_worker(variables) as kept:
        for _ in range(3 if quick else ROUNDS):
            for kind, (request, count) in _KINDS.items():
                for name, worker in (("without", without), ("with usage", kept)):
                    port = int(worker.base_url.rpartition(":")[2])
                    sample = await _cost(port, worker.pid, request(), max(10, count // (10 if quick else 1)))
                    samples.setdefault((name, kind), []).append(sample)
    cpu = {place: fmean(sample[0] for sample in found) for place, found in samples.items()}
    first = {place: median(sample[1] for sample in found) for place, found in samples.items()}
    rows = [
        (
            name,
            *(f"{cpu[name, kind] * 1e3:.2f}" for kind in _KINDS),
            *(f"{first[name, kind] * 1e3:.2f}" for kind in _KINDS),
        )
        for name in ("without", "with usage")
    ]
    kind = next(iter(_KINDS))
    return [
        Section(
            "8. Usage",
            "CPU of workerd, its D1 included, and the median time to the first byte, in ms a request; the "
            "two Workers in turn.",
            ("Worker", *(f"CPU, {kind}" for kind in _KINDS), *(f"first byte, {kind}" for kind in _KINDS)),
            rows,
            [
                at_most(
                    "CPU of a 2 KB request with usage, to without",
                    cpu["with usage", kind] / cpu["without", kind],
                    1.03,
                )
            ],
        )
    ]


async def _cost(port: int, pid: int, request: bytes, count: int) -> tuple[float, float]:
    """Seconds of CPU a request, and the median of the seconds to the first byte."""
    connection = await connect(port)
    before = _cpu_seconds(pid)
    firsts = []
    for _ in range(count):
        started = perf_counter()
        answer = await connection.ask(request)
        if answer.status != 200:
            raise RuntimeError(f"the Worker answered {answer.status}")
        firsts.append(answer.arrivals[0] - started)
    seconds = (_cpu_seconds(pid) - before) / count
    connection.close()
    return seconds, median(firsts)


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
