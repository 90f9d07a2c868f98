"""The Responses API, against the same requests as chat completions."""

from functools import partial
from statistics import median
from typing import Any

from bench.client import post
from bench.load import first_bytes, least_of, request_cost, warm_up
from bench.report import ON_EMBEDDED, Section, at_most
from bench.workers import OURS_B, running

MODEL = "qwen3-coder-plus"
_WORDS = "Read the file first, then change what must be changed (größer als nötig), and nothing else. "


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """Both APIs in turn."""
    count = 20 if quick else 60
    bodies = {"Responses": ("/v1/responses", _codex()), "chat": ("/v1/chat/completions", _chat())}
    whole = {name: post(path, body) for name, (path, body) in bodies.items()}
    streams = {
        name: post(path, {**body, "stream": True, "bench": "paced 3 2"})
        for name, (path, body) in bodies.items()
    }
    with running(OURS_B, upstream_port=upstream_port) as (ours,):
        for request in whole.values():
            await warm_up([ours], request)
        jobs = {name: partial(request_cost, ours, request, count) for name, request in whole.items()}
        costs = await least_of(2 if quick else 6, jobs)
        asked = {name: (ours.port, request) for name, request in streams.items()}
        found = await first_bytes(asked, count * 3)
    first = {name: median(seconds) for name, seconds in found.items()}
    return [
        Section(
            "The Responses API",
            ON_EMBEDDED,
            "A request of 45 KB as Codex sends it, and the same as chat completions: CPU of an answer that "
            "is no stream, and time to first byte of a stream, p50, in ms. What the streams cost: see "
            "*Translated streams*.",
            ("", "request", "first byte"),
            [(name, f"{costs[name] * 1e3:.2f}", f"{first[name] * 1e3:.2f}") for name in costs],
            [
                at_most(
                    "CPU of a 45 KB Responses request over chat",
                    (costs["Responses"] - costs["chat"]) * 1e3,
                    2.0,
                    "ms",
                ),
                at_most(
                    "first byte of Responses over chat", (first["Responses"] - first["chat"]) * 1e3, 1.0, "ms"
                ),
            ],
        )
    ]


def _codex() -> dict[str, Any]:
    instructions, tools = _WORDS * 140, _tools()
    return {
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


def _chat() -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [
            {"role": "developer", "content": _WORDS * 140},
            {"role": "user", "content": "Say hello."},
        ],
        "tools": [{"type": "function", "function": tool} for tool in _tools()],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


def _tools() -> list[dict[str, Any]]:
    """Twelve functions, 25 KB of them."""
    fields = {f"field_{number}": {"type": "string", "description": _WORDS * 3} for number in range(7)}
    schema = {"type": "object", "properties": fields, "required": ["field_0"], "additionalProperties": False}
    return [
        {"type": "function", "name": f"tool_{number}", "description": _WORDS, "parameters": schema}
        for number in range(12)
    ]
