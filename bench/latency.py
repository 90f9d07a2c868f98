"""Time to first byte that the Worker adds."""

from bench.client import chat
from bench.load import first_bytes, percentile
from bench.report import ON_EMBEDDED, Section, at_most
from bench.workers import LIMIT, OURS_B, PASSING, running

SHARES = (50, 95, 99)
DIRECTLY = "directly"


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Asks for streams in turn: directly from the upstream, and through each Worker."""
    count = 100 if quick else 330
    request = chat(2_000, bench="paced 3 2")
    with running(LIMIT, PASSING, OURS_B, upstream_port=upstream_port) as workers:
        asked = {worker.name: (worker.port, request) for worker in workers}
        seconds = await first_bytes({DIRECTLY: (upstream_port, request), **asked}, count)
    found = {name: [percentile(values, share) * 1e3 for share in SHARES] for name, values in seconds.items()}
    direct = found.pop(DIRECTLY)
    added = {name: [ms - base for ms, base in zip(row, direct, strict=True)] for name, row in found.items()}
    section = Section(
        "Time to first byte",
        ON_EMBEDDED,
        f"{len(seconds[DIRECTLY])} streams, one after the other on one connection, in ms over what the "
        f"upstream itself takes ({' / '.join(f'{ms:.2f}' for ms in direct)} ms).",
        ("Worker", *(f"p{share}" for share in SHARES)),
        [(name, *(f"+{ms:.2f}" for ms in row)) for name, row in added.items()],
        [
            at_most("time to first byte added, p50", added[OURS_B.name][0], 3.0, "ms"),
        ],
    )
    return [section]
