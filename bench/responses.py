"""8. The Responses API, against the same requests as chat completions and the yardsticks."""

import asyncio
from statistics import median
from typing import Any, NamedTuple

from bench.client import ask_once, chat, connect, post
from bench.report import Section, at_most, times
from bench.workers import OURS_B, PARSING, RunningWorker, running

STREAMS = 30
BURST_CHUNKS = 2_000
MODEL = "qwen3-coder-plus"
_WORDS = "Read the file first, then change what must be changed (größer als nötig), and nothing else. "


class _Kind(NamedTuple):
    """Requests of one API."""

    whole: bytes
    stream: bytes
    paced: dict[int, bytes]
    """Streams by the pause between their chunks, in ms."""
    burst: bytes


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Both APIs in turn, several rounds; the least of each, since a busy machine only adds."""
    rounds, requests, chunks = (2, 20, 200) if quick else (6, 60, 600)
    kinds = {"Responses": _responses(chunks), "chat": _chat(chunks)}
    costs: dict[str, list[list[float]]] = {}
    with running(PARSING, OURS_B, upstream_port=upstream_port) as (yardstick, ours):
        for kind in kinds.values():
            await _cost(ours, kind.whole, 5)
        for _ in range(rounds):
            for name, kind in kinds.items():
                row = [
                    await _cost(ours, kind.whole, requests),
                    await _first_byte(ours, kind.stream, requests),
                    *await _chunk_costs(ours, kind, chunks),
                ]
                costs.setdefault(name, []).append(row)
            row = [0.0, 0.0, *await _chunk_costs(yardstick, kinds["chat"], chunks)]
            costs.setdefault(PARSING.name, []).append(row)
    least = {name: [min(values) for values in zip(*rows, strict=True)] for name, rows in costs.items()}
    return [_section(least, chunks)]


def _section(least: dict[str, list[float]], chunks: int) -> Section:
    ours, as_chat, yardstick = least["Responses"], least["chat"], least[PARSING.name]
    shares = [times(a, b) for a, b in zip(ours[2:], yardstick[2:], strict=True)]
    return Section(
        "8. The Responses API",
        "A request of 45 KB as Codex sends it, and the same as chat completions: CPU of an answer "
        f"that is no stream, time to first byte of a stream (ms). Then {STREAMS} streams at once of {chunks} "
        f"chunks each and one of {BURST_CHUNKS:,} as fast as they come: CPU a chunk (us).",
        ("", "request", "first byte", "10 ms", "50 ms", "burst"),
        [
            (name, *(f"{s * 1e3:.2f}" if s else "-" for s in row[:2]), *(f"{s * 1e6:.1f}" for s in row[2:]))
            for name, row in least.items()
        ]
        + [("Responses, to the yardstick", "-", "-", *shares)],
        [
            at_most("CPU of a 45 KB Responses request over chat", (ours[0] - as_chat[0]) * 1e3, 2.0, "ms"),
            at_most("first byte of Responses over chat", (ours[1] - as_chat[1]) * 1e3, 1.0, "ms"),
            at_most("CPU of a Responses chunk, 10 ms, to the yardstick", ours[2] / yardstick[2], 0.9),
            at_most("CPU of a Responses chunk, 50 ms, to the yardstick", ours[3] / yardstick[3], 1.2),
            at_most("CPU of a Responses chunk, burst, to the yardstick", ours[4] / yardstick[4], 0.7),
        ],
    )


async def _cost(worker: RunningWorker, request: bytes, count: int) -> float:
    """Seconds of CPU a request."""
    connection = await connect(worker.port)
    before = worker.cpu_seconds()
    for _ in range(count):
        answer = await connection.ask(request)
        assert answer.status == 200, worker.name
    connection.close()
    return (worker.cpu_seconds() - before) / count


async def _first_byte(worker: RunningWorker, request: bytes, count: int) -> float:
    connection = await connect(worker.port)
    seconds = [(await connection.ask(request)).first_byte_seconds for _ in range(count)]
    connection.close()
    return median(seconds)


async def _chunk_costs(worker: RunningWorker, kind: _Kind, chunks: int) -> list[float]:
    """Seconds of CPU a chunk, each stream's beginning and end included."""
    costs = []
    for pause_ms, request in kind.paced.items():
        count = chunks if pause_ms == 10 else chunks // 2
        before = worker.cpu_seconds()
        answers = await asyncio.gather(*(ask_once(worker.port, request) for _ in range(STREAMS)))
        assert all(answer.status == 200 for answer in answers), worker.name
        costs.append((worker.cpu_seconds() - before) / (STREAMS * count))
    return [*costs, await _cost(worker, kind.burst, 5) / BURST_CHUNKS]


def _responses(chunks: int) -> _Kind:
    instructions, tools = _WORDS * 140, _tools()
    codex: dict[str, Any] = {
        "model": MODEL,
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": instructions}],
            },
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hello."}]},
        ],
        "tools": [*tools[:7], {"type": "namespace", "name": "agents", "description": "", "tools": tools[7:]}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    small = {"model": MODEL, "input": _WORDS * 20, "stream": True}

    def stream(wish: str) -> bytes:
        return post("/v1/responses", {**small, "bench": wish})

    return _Kind(
        post("/v1/responses", codex),
        post("/v1/responses", {**codex, "stream": True, "bench": "paced 3 2"}),
        {10: stream(f"paced {chunks} 10"), 50: stream(f"paced {chunks // 2} 50")},
        stream(f"burst {BURST_CHUNKS}"),
    )


def _chat(chunks: int) -> _Kind:
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "developer", "content": _WORDS * 140},
            {"role": "user", "content": "Say hello."},
        ],
        "tools": [{"type": "function", "function": tool} for tool in _tools()],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    path = "/v1/chat/completions"
    return _Kind(
        post(path, body),
        post(path, {**body, "stream": True, "bench": "paced 3 2"}),
        {
            10: chat(2_000, bench=f"paced {chunks} 10"),
            50: chat(2_000, bench=f"paced {chunks // 2} 50"),
        },
        chat(2_000, bench=f"burst {BURST_CHUNKS}"),
    )


def _tools() -> list[dict[str, Any]]:
    """Twelve functions, 25 KB of them."""
    fields = {f"field_{number}": {"type": "string", "description": _WORDS * 3} for number in range(7)}
    schema = {"type": "object", "properties": fields, "required": ["field_0"], "additionalProperties": False}
    return [
        {"type": "function", "name": f"tool_{number}", "description": _WORDS, "parameters": schema}
        for number in range(12)
    ]
