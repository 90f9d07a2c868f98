"""6. Memory over many requests."""

import asyncio

from bench.client import chat, connect
from bench.report import Section, at_most
from bench.workers import OURS_B, OURS_D, RunningWorker, running

LINES = 8
"""How many connections send requests at the same time."""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Requests and streams until memory would show what is never given back."""
    checkpoints = (500, 1_000, 2_000) if quick else (5_000, 10_000, 20_000)
    kinds = {
        "requests": (OURS_B, chat(2_000), checkpoints),
        "streams (B)": (OURS_B, chat(2_000, bench="burst 20"), tuple(each // 4 for each in checkpoints)),
        "streams (D)": (OURS_D, chat(2_000, bench="burst 20"), tuple(each // 4 for each in checkpoints)),
    }
    rows: list[tuple[str, ...]] = []
    growth: dict[str, float] = {}
    for name, (subject, request, counts) in kinds.items():
        with running(subject, upstream_port=upstream_port) as (worker,):
            sizes = await _sizes(worker, request, counts)
        rows += [
            (f"{count:,} {name}", f"{size / 1e6:.1f}") for count, size in zip(counts, sizes, strict=True)
        ]
        growth[name] = (sizes[-1] - sizes[1]) / (counts[-1] - counts[1])
    section = Section(
        "6. Memory over many requests",
        f"Resident memory of workerd, a Worker for each kind, {LINES} requests at a time.",
        ("After", "MB"),
        rows,
        [
            at_most(f"memory that a request leaves behind, {name}", bytes_ / 1024, 0.5, "KB")
            for name, bytes_ in growth.items()
        ],
    )
    return [section]


async def _sizes(worker: RunningWorker, request: bytes, counts: tuple[int, ...]) -> list[int]:
    sizes = []
    done = 0
    for count in counts:
        await asyncio.gather(*(_line(worker.port, request, (count - done) // LINES) for _ in range(LINES)))
        done = count
        sizes.append(worker.memory_bytes())
    return sizes


async def _line(port: int, request: bytes, count: int) -> None:
    connection = await connect(port)
    for _ in range(count):
        answer = await connection.ask(request)
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}")
    connection.close()
