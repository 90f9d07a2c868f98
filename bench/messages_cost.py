"""8. Anthropic's Messages: passed on to a host that speaks them, and bridged through chat completions."""

import asyncio
import json
from statistics import median
from typing import Any

from bench.client import ask_once, connect, post
from bench.report import Section, at_most, times
from bench.workers import OURS_D, RunningWorker, running

STREAMS = 30
BURST_CHUNKS = 2_000
ROUNDS = 5

NATIVE = OURS_D._replace(name="messages, native", messages="native")
BRIDGED = OURS_D._replace(name="messages, bridged", messages="bridged")
CHAT = OURS_D._replace(name="chat")


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All in turn, several rounds, medians."""
    rounds, chunks, bursts, requests = (2, 200, 5, 20) if quick else (ROUNDS, 600, 12, 100)
    costs: dict[str, list[tuple[float, float, float]]] = {}
    with running(CHAT, NATIVE, BRIDGED, upstream_port=upstream_port) as workers:
        for worker in workers:
            await _requests(worker, 20)
        for _ in range(rounds):
            for worker in workers:
                costs.setdefault(worker.name, []).append(
                    (
                        await _paced(worker, chunks),
                        await _bursts(worker, bursts),
                        await _requests(worker, requests),
                    )
                )
    medians = {name: [median(values) for values in zip(*found, strict=True)] for name, found in costs.items()}
    return [_section(medians, chunks)]


def _request(worker: RunningWorker, wish: str, *, is_long: bool = False) -> bytes:
    """A stream as the upstream is told by `wish`; a long one is like Claude Code's."""
    body = _claude_code() if is_long else {"messages": [{"role": "user", "content": "Say hello."}]}
    body |= {"model": "qwen3-coder-plus", "max_tokens": 32_000, "stream": True}
    if worker.name == CHAT.name:
        return post("/v1/chat/completions", {**_as_chat(body), "user": wish})
    return post("/v1/messages?beta=true", {**body, "metadata": {"user_id": wish}})


async def _paced(worker: RunningWorker, chunks: int) -> float:
    """Seconds of CPU a chunk, of streams with one every 10 ms."""
    request = _request(worker, f"paced {chunks} 10")
    before = worker.cpu_seconds()
    answers = await asyncio.gather(*(ask_once(worker.port, request) for _ in range(STREAMS)))
    assert all(answer.is_complete_stream for answer in answers), worker.name
    return (worker.cpu_seconds() - before) / (STREAMS * chunks)


async def _bursts(worker: RunningWorker, count: int) -> float:
    """Seconds of CPU for a stream of BURST_CHUNKS chunks at once."""
    request = _request(worker, f"burst {BURST_CHUNKS}")
    before = worker.cpu_seconds()
    for _ in range(count):
        answer = await ask_once(worker.port, request)
        assert answer.is_complete_stream, worker.name
    return (worker.cpu_seconds() - before) / count


async def _requests(worker: RunningWorker, count: int) -> float:
    """Seconds of CPU for a request as Claude Code sends it, with a short stream."""
    request = _request(worker, "burst 5", is_long=True)
    connection = await connect(worker.port)
    before = worker.cpu_seconds()
    for _ in range(count):
        answer = await connection.ask(request)
        assert answer.is_complete_stream, worker.name
    seconds = (worker.cpu_seconds() - before) / count
    connection.close()
    return seconds


def _claude_code() -> dict[str, Any]:
    """85 KB with 25 tools: a question behind long instructions."""
    sentence = "You are an agent that helps with software engineering: read before you write, and say why. "
    parameter = {"type": "string", "description": "An absolute path, or a pattern that some paths match"}
    tools = [
        {
            "name": f"Tool{number}",
            "description": sentence * 18,
            "input_schema": {
                "type": "object",
                "properties": {f"parameter_{index}": parameter for index in range(5)},
                "required": ["parameter_0"],
                "additionalProperties": False,
            },
        }
        for number in range(25)
    ]
    return {
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cc_entrypoint=cli;"},
            {"type": "text", "text": sentence * 160, "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": sentence * 130}]},
            {"role": "system", "content": "The date is not known."},
            {"role": "user", "content": [{"type": "text", "text": "Say hello."}]},
        ],
        "tools": tools,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }


def _as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """The same as a chat completions request."""
    chat = {name: body[name] for name in ("model", "max_tokens", "stream", "messages")}
    if "system" in body:
        chat["messages"] = [{"role": "system", "content": body["system"][1:]}, *body["messages"]]
        chat["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool["name"],
                    "description": tool["description"],
                    "parameters": tool["input_schema"],
                },
            }
            for tool in body["tools"]
        ]
    return chat


def _section(costs: dict[str, list[float]], chunks: int) -> Section:
    chat, native, bridged = costs[CHAT.name], costs[NATIVE.name], costs[BRIDGED.name]
    size = len(json.dumps(_claude_code())) / 1000
    return Section(
        "8. Messages",
        f"Way D. {STREAMS} streams at once, {chunks} chunks each, one every 10 ms; a burst is "
        f"{BURST_CHUNKS:,} chunks. The request: {size:.0f} KB with 25 tools, as Claude Code's, and the same "
        "as a chat. Events of a message are shorter than chunks of a chat.",
        ("", "10 ms, us a chunk", "to chat", "burst, ms", "to chat", "request, ms", "more than chat, ms"),
        [
            (
                name,
                f"{paced * 1e6:.1f}",
                times(paced, chat[0]),
                f"{burst * 1e3:.1f}",
                times(burst, chat[1]),
                f"{request * 1e3:.2f}",
                f"{(request - chat[2]) * 1e3:.2f}",
            )
            for name, (paced, burst, request) in costs.items()
        ],
        [
            at_most("messages, native: a paced chunk, to one of a chat", native[0] / chat[0], 1.1),
            at_most("... a burst", native[1] / chat[1], 1.1),
            at_most("... a Claude Code request, more than as a chat", (native[2] - chat[2]) * 1e3, 3, "ms"),
            at_most("... bridged", (bridged[2] - chat[2]) * 1e3, 3, "ms"),
        ],
    )
