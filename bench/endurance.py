"""Memory over many requests."""

import asyncio
from typing import NamedTuple

from bench.client import chat, connect, leave_early, response
from bench.load import Measured
from bench.report import ON_EMBEDDED, Section, at_most
from bench.workers import LIMIT, OURS_B, OURS_D, Subject, running

LINES = 8
"""How many connections send requests at the same time."""

CUT_EACH = 3
"""Of the streams that clients leave early, it is each third."""


class Kind(NamedTuple):
    """What one Worker is asked for. `base` is the kind whose growth is the runtime's own, `cut` what each
    third client asks for instead and leaves.
    """

    subject: Subject
    request: bytes
    base: str | None
    cut: bytes | None = None


_WHOLE, _STREAM = chat(2_000), chat(2_000, bench="burst 20")
KINDS = {
    "requests, limit": Kind(LIMIT, _WHOLE, None),
    "requests": Kind(OURS_B, _WHOLE, "requests, limit"),
    "streams, limit": Kind(LIMIT, _STREAM, None),
    "streams (B)": Kind(OURS_B, _STREAM, "streams, limit"),
    "streams (D)": Kind(OURS_D, _STREAM, "streams, limit"),
    "Responses, a third cut (D)": Kind(
        OURS_D, response(bench="burst 20"), None, cut=response(bench="paced 40 50")
    ),
}
"""The last one has no target: what a client leaves behind is put away after two to three minutes, which this
does not last. At 15 streams a second memory stops growing then.
"""


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Sends so many requests and streams that a leak would show in the memory."""
    scale = 250 if quick else 1_500
    checkpoints = (scale, scale * 2, scale * 4)
    rows: list[tuple[str, ...]] = []
    left: dict[str, float] = {}
    for name, kind in KINDS.items():
        with running(kind.subject, upstream_port=upstream_port) as (worker,):
            sizes = await _sizes(worker, kind, checkpoints)
        left[name] = (sizes[-1] - sizes[1]) / (checkpoints[-1] - checkpoints[1]) / 1024
        rows.append((name, *(f"{size / 1e6:.1f}" for size in sizes), f"{left[name]:.2f}"))
    section = Section(
        "Memory over many requests",
        ON_EMBEDDED,
        f"Resident memory of workerd, a process for each kind, {LINES} requests at a time. The growth for "
        "a JavaScript Worker that does nothing with a request is workerd's own. What clients leave behind is "
        "put away after two to three minutes, which this does not last.",
        ("", *(f"after {count:,}, MB" for count in checkpoints), "the last half, KB each"),
        rows,
        [
            at_most(f"memory left behind, over the limit: {name}", left[name] - left[kind.base], 0.5, "KB")
            for name, kind in KINDS.items()
            if kind.base is not None
        ],
    )
    return [section]


async def _sizes(worker: Measured, kind: Kind, counts: tuple[int, ...]) -> list[int]:
    sizes = []
    done = 0
    for count in counts:
        await asyncio.gather(*(_line(worker.port, kind, (count - done) // LINES) for _ in range(LINES)))
        done = count
        sizes.append(worker.memory_bytes())
    return sizes


async def _line(port: int, kind: Kind, count: int) -> None:
    connection = await connect(port)
    for number in range(count):
        if kind.cut is not None and number % CUT_EACH == 0:
            await leave_early(port, kind.cut)
            continue
        answer = await connection.ask(kind.request)
        if not answer.is_complete:
            raise RuntimeError(str(answer))
    connection.close()
