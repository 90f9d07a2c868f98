"""3. Time to first byte that the Worker adds."""

from bench.client import Connection, chat, connect
from bench.report import Section, at_most
from bench.workers import LIMIT, OURS_B, running

WARM_UP = 50


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Asks for streams in turn: directly from the upstream, through the limit, and through our Worker."""
    count = 150 if quick else 400
    request = chat(2_000, bench="paced 3 2")
    with running(LIMIT, OURS_B, upstream_port=upstream_port) as workers:
        ports = {"directly": upstream_port, **{worker.name: worker.port for worker in workers}}
        connections = {name: await connect(port) for name, port in ports.items()}
        times: dict[str, list[float]] = {name: [] for name in ports}
        for number in range(count + WARM_UP):
            for name, connection in connections.items():
                seconds = await _first_byte(connection, request)
                if number >= WARM_UP:
                    times[name].append(seconds)
        for connection in connections.values():
            connection.close()
    direct = {share: percentile(times["directly"], share) for share in (50, 95, 99)}
    added = {
        name: {share: percentile(values, share) - direct[share] for share in direct}
        for name, values in times.items()
    }
    section = Section(
        "3. Time to first byte",
        f"{count} streams, one after the other on one connection, in ms over what the upstream itself takes "
        f"({direct[50] * 1e3:.2f} / {direct[95] * 1e3:.2f} / {direct[99] * 1e3:.2f} ms).",
        ("Worker", "p50", "p95", "p99"),
        [
            (name, *(f"+{seconds * 1e3:.2f}" for seconds in added[name].values()))
            for name in added
            if name != "directly"
        ],
        [at_most("time to first byte added, p50", added[OURS_B.name][50] * 1e3, 3.0, "ms")],
    )
    return [section]


def percentile(values: list[float], share: int) -> float:
    """The value that `share` percent of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


async def _first_byte(connection: Connection, request: bytes) -> float:
    answer = await connection.ask(request)
    if not answer.is_complete_stream:
        raise RuntimeError("a stream is not complete")
    return answer.first_byte_seconds
