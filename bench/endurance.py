"""6. Memory over many requests."""

import asyncio

from bench.client import chat, connect, leave
from bench.report import Section, at_most
from bench.translation import TRANSLATED
from bench.workers import LIMIT, OURS_B, OURS_D, RunningWorker, running

LINES = 8
"""How many connections send requests at the same time."""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Sends so many requests and streams that a leak would show in the memory."""
    checkpoints = (500, 1_000, 2_000) if quick else (5_000, 10_000, 20_000)
    request, stream = chat(2_000), chat(2_000, bench="burst 20")
    translated = chat(2_000, bench="burst 20", **TRANSLATED)
    left_alone = chat(2_000, bench="paced 40 50", **TRANSLATED)
    kinds = {
        "requests, limit": (LIMIT, request, None),
        "requests": (OURS_B, request, None),
        "streams, limit": (LIMIT, stream, None),
        "streams (B)": (OURS_B, stream, None),
        "streams (D)": (OURS_D, stream, None),
        "translated streams, of which the client leaves a third": (OURS_B, translated, left_alone),
    }
    rows: list[tuple[str, ...]] = []
    left: dict[str, float] = {}
    for name, (subject, asked, cut) in kinds.items():
        with running(subject, upstream_port=upstream_port) as (worker,):
            sizes = await _sizes(worker, asked, cut, checkpoints)
        left[name] = (sizes[-1] - sizes[1]) / (checkpoints[-1] - checkpoints[1]) / 1024
        rows.append((name, *(f"{size / 1e6:.1f}" for size in sizes), f"{left[name]:.2f}"))
    section = Section(
        "6. Memory over many requests",
        f"Resident memory of workerd, a process for each kind, {LINES} requests at a time. The growth for "
        "a JavaScript Worker that does nothing with a request is workerd's own.",
        (
            "",
            *(f"after {count:,}, MB" for count in checkpoints),
            "the last half, KB each",
        ),
        rows,
        [
            at_most(
                "memory that a request leaves behind, over the limit",
                left["requests"] - left["requests, limit"],
                0.5,
                "KB",
            ),
            at_most("the same of a stream, B", left["streams (B)"] - left["streams, limit"], 0.5, "KB"),
            at_most("the same of a stream, D", left["streams (D)"] - left["streams, limit"], 0.5, "KB"),
        ],
    )
    return [section]


async def _sizes(
    worker: RunningWorker, request: bytes, cut: bytes | None, counts: tuple[int, ...]
) -> list[int]:
    sizes = []
    done = 0
    for count in counts:
        share = (count - done) // LINES
        await asyncio.gather(*(_line(worker.port, request, cut, share) for _ in range(LINES)))
        done = count
        sizes.append(worker.memory_bytes())
    return sizes


async def _line(port: int, request: bytes, cut: bytes | None, count: int) -> None:
    """Requests one after the other; every third is `cut`, if there is one, whose client goes away."""
    connection = await connect(port)
    for number in range(count):
        if cut is not None and number % 3 == 0:
            await leave(port, cut)
            continue
        answer = await connection.ask(request)
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}")
    connection.close()
