"""Streams of chat completion chunks as hosts send them, and what the translator makes of them."""

import json
from collections.abc import Iterable
from typing import Any

from qwen_worker.api.messages.stream import AnswerFacts, MessagesStream
from qwen_worker.errors import ProxyError
from qwen_worker.upstream.error_reader import ErrorReader
from tests.support.messages_grammar import StreamedMessage, read_messages_stream

USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}

FACTS = AnswerFacts(
    message_id="msg_1", request_id="req_1", model="claude-test", stop_sequences=(), input_tokens=42
)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "qwen",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish, **choice}],
    }


def usage_chunk(usage: dict[str, Any] = USAGE) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [], "usage": usage}


def call(index: int, arguments: str = "", *, call_id: str = "", name: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"index": index, "id": call_id, "type": "function", "function": function}


def calls(*deltas: dict[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": list(deltas)})


def encoded(chunks: Iterable[dict[str, Any]], *, done: bool = True) -> bytes:
    events = [f"data: {json.dumps(item, ensure_ascii=False)}\n\n" for item in chunks]
    return "".join([*events, "data: [DONE]\n\n" if done else ""]).encode()


def translator(**facts: Any) -> MessagesStream:
    return MessagesStream(FACTS._replace(**facts), event_error=ErrorReader((), lambda: 0).in_event)


def translated(
    *chunks: dict[str, Any], done: bool = True, failure: ProxyError | None = None, **facts: Any
) -> StreamedMessage:
    """The message of a stream; each chunk arrives alone."""
    stream = translator(**facts)
    pieces = [encoded([item], done=False) for item in chunks] + ([b"data: [DONE]\n\n"] if done else [])
    out = b"".join([stream.feed(piece) for piece in pieces])
    return read_messages_stream(out + stream.end(failure))
