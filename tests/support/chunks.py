"""Chat completion chunks as events, for tests of streams."""

import json
from typing import Any

DONE = b"data: [DONE]\n\n"


def chunk(content: str | None = None, *, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of one choice."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **fields}


def event(data: dict[str, Any]) -> bytes:
    """An event that every client reads."""
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def text(content: str) -> bytes:
    """The event of a delta."""
    return event(chunk(content))


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
FINISH = event(chunk(finish="stop"))
USAGE_CHUNK = event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE})


def events(stream: bytes) -> list[Any]:
    """The data of the events that a client sees: parsed JSON, or `[DONE]`; comments left out."""
    assert stream.endswith(b"\n\n")
    found: list[Any] = []
    for block in stream[:-2].split(b"\n\n"):
        if not block.startswith(b":"):
            assert block.startswith(b"data: "), block
            data = block[6:].decode()
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def content(stream: bytes) -> str:
    """The text that a client has when it joins the deltas."""
    return "".join(
        choice["delta"].get("content") or ""
        for data in events(stream)
        if data != "[DONE]"
        for choice in data.get("choices", [])
    )
