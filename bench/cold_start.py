"""The start: how long until the first answer, and how large the Worker is."""

import asyncio
import gzip
import time
from statistics import median

from bench.client import ask_once, get
from bench.report import ON_EMBEDDED, Section, at_most
from bench.workers import EMPTY, OURS_B, Subject, spawn, stop
from tools.repository import SOURCE


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Starts both Workers in turn, many times, and takes medians; the difference is the median over the
    pairs.
    """
    times: dict[str, list[tuple[float, float]]] = {EMPTY.name: [], OURS_B.name: []}
    for _ in range(2 if quick else 8):
        for subject in (EMPTY, OURS_B):
            times[subject.name].append(await _start(subject, upstream_port))
    wall = {name: median(each[0] for each in values) * 1e3 for name, values in times.items()}
    cpu = {name: median(each[1] for each in values) * 1e3 for name, values in times.items()}
    added = median(
        ours[0] - empty[0] for ours, empty in zip(times[OURS_B.name], times[EMPTY.name], strict=True)
    )
    sources = [path.read_bytes() for path in sorted(SOURCE.rglob("*.py"))]
    size = sum(map(len, sources)) / 1024
    compressed = len(gzip.compress(b"".join(sources))) / 1024
    section = Section(
        "Cold start",
        ON_EMBEDDED,
        f"From the start of the workerd process to its first answer. Our modules: {size:.0f} KB, "
        f"{compressed:.0f} KB compressed; a deployment adds Cloudflare's own SDK.",
        ("Worker", "first answer, ms", "CPU, ms"),
        [(name, f"{wall[name]:.0f}", f"{cpu[name]:.0f}") for name in times],
        [
            at_most("cold start over an empty Python Worker", added * 1e3, 60, "ms"),
            at_most("size of our modules, compressed", compressed, 150, "KB"),
            at_most("size of our modules, as files", size, 150, "KB"),
        ],
    )
    return [section]


async def _start(subject: Subject, upstream_port: int) -> tuple[float, float]:
    """Seconds until the first answer, and seconds of CPU."""
    began = time.perf_counter()
    worker = spawn(subject, upstream_port)
    try:
        while True:
            try:
                answer = await ask_once(worker.port, get("/v1/models"))
                break
            except OSError:
                await asyncio.sleep(0.001)
        assert answer.status == 200
        return time.perf_counter() - began, worker.cpu_seconds()
    finally:
        stop(worker)
