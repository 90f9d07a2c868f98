"""Many streams at once."""

import asyncio
from itertools import pairwise

from bench.client import Answer, ask_once, chat, response
from bench.load import percentile
from bench.report import ON_EMBEDDED, Section, Target
from bench.workers import LIMIT, OURS_B, OURS_D, Subject, running

STREAMS = 200
PAUSE_MS = 20
RESPONSES = OURS_D._replace(name="Responses (D)")


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """The same load directly, through the limit, through both of our ways to relay, and translated."""
    chunks = 100 if quick else 200
    wish = f"paced {chunks} {PAUSE_MS}"
    request = chat(2_000, bench=wish)
    rows = [_row("directly", await _load(upstream_port, request), None)]
    complete: dict[str, int] = {}
    for subject in (LIMIT, OURS_B, OURS_D, RESPONSES):
        asked = response(bench=wish) if subject is RESPONSES else request
        answers, memory_bytes = await _loaded_worker(subject, upstream_port, asked)
        rows.append(_row(subject.name, answers, memory_bytes))
        complete[subject.name] = sum(answer.is_complete for answer in answers)
    section = Section(
        f"{STREAMS} streams at once",
        ON_EMBEDDED,
        f"A chunk every {PAUSE_MS} ms, {chunks} chunks a stream. Delay: time between two arrivals at the "
        "client, in ms. Memory: growth of workerd's resident memory while all streams ran, by stream.",
        ("Way", "complete", "delay p50", "delay p99", "memory, KB a stream"),
        rows,
        [
            Target(
                f"{STREAMS} streams at once, {name}",
                "all complete",
                f"{count} complete",
                count == STREAMS,
            )
            for name, count in complete.items()
            if name != LIMIT.name
        ],
    )
    return [section]


async def _loaded_worker(subject: Subject, upstream_port: int, request: bytes) -> tuple[list[Answer], int]:
    """The answers, and how much memory one stream took at most."""
    with running(subject, upstream_port=upstream_port) as (worker,):
        await ask_once(worker.port, chat(2_000, bench="burst 10"))
        before = most = worker.memory_bytes()
        loading = asyncio.ensure_future(_load(worker.port, request))
        while not loading.done():
            most = max(most, worker.memory_bytes())
            await asyncio.wait((loading,), timeout=0.2)
        return loading.result(), (most - before) // STREAMS


async def _load(port: int, request: bytes) -> list[Answer]:
    return await asyncio.gather(*(ask_once(port, request) for _ in range(STREAMS)))


def _row(name: str, answers: list[Answer], memory_bytes: int | None) -> tuple[str, ...]:
    delays = [later - earlier for answer in answers for earlier, later in pairwise(answer.arrivals)]
    return (
        name,
        str(sum(answer.is_complete for answer in answers)),
        f"{percentile(delays, 50) * 1e3:.1f}",
        f"{percentile(delays, 99) * 1e3:.1f}",
        "-" if memory_bytes is None else f"{memory_bytes / 1024:.0f}",
    )
