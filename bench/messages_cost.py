"""Anthropic's Messages: passed on to a host that speaks them, and bridged through chat completions."""

import json
from functools import partial
from typing import Any

from bench.client import post
from bench.load import BURST_CHUNKS, STREAMS, chunk_cost, least_of, request_cost, warm_up
from bench.report import ON_EMBEDDED, Section, at_most, times
from bench.workers import OURS_D, RunningWorker, running

LOADS = ("paced", "burst", "request")
NATIVE = OURS_D._replace(name="messages, native", messages="native")
BRIDGED = OURS_D._replace(name="messages, bridged", messages="bridged")
CHAT = OURS_D._replace(name="chat")


async def measure(upstream_port: int, *, quick: bool) -> list[Section]:
    """All in turn."""
    rounds, chunks, bursts, requests = (1, 100, 3, 20) if quick else (3, 300, 8, 60)
    jobs = {}
    with running(CHAT, NATIVE, BRIDGED, upstream_port=upstream_port) as workers:
        for worker in workers:
            paced, burst = (
                _request(worker, wish) for wish in (f"paced {chunks} 10", f"burst {BURST_CHUNKS}")
            )
            long = _request(worker, "burst 5", is_long=True)
            await warm_up([worker], long)
            jobs[worker.name, "paced"] = partial(chunk_cost, worker, paced, chunks)
            jobs[worker.name, "burst"] = partial(request_cost, worker, burst, bursts)
            jobs[worker.name, "request"] = partial(request_cost, worker, long, requests)
        found = await least_of(rounds, jobs)
    costs = {worker.name: [found[worker.name, load] for load in LOADS] for worker in workers}
    return [_section(costs, chunks)]


def _request(worker: RunningWorker, wish: str, *, is_long: bool = False) -> bytes:
    """A stream as the upstream is told by `wish`; a long one is like Claude Code's."""
    body = _claude_code() if is_long else {"messages": [{"role": "user", "content": "Say hello."}]}
    body |= {"model": "qwen3-coder-plus", "max_tokens": 32_000, "stream": True}
    if worker.name == CHAT.name:
        return post("/v1/chat/completions", {**_as_chat(body), "user": wish})
    return post("/v1/messages?beta=true", {**body, "metadata": {"user_id": wish}})


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
        "Messages",
        ON_EMBEDDED,
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
