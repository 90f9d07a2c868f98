"""A Qwen that costs as little as possible, in a process of its own: `python -m bench.upstream`.

Prints its port. A request says how it wants to be answered in the field `bench` of its body:
`paced CHUNKS MILLISECONDS`, `stamped` the same with the time in each text, `burst CHUNKS`, or nothing for an
answer that is no stream. In the field `user`, `embeddings COUNT` asks for so many vectors. A path that ends
in `/messages` is answered in Anthropic's words, and says it in `metadata.user_id`, which becomes `user` when
the request is bridged.
"""

import asyncio
import json
import random
import re
import sys
import time
from functools import cache
from typing import NamedTuple

_HEAD = '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"qwen3-coder-plus",'
_DELTA = '"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}],"usage":null}'
_FINISH = '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}'
CHUNK = f"data: {_HEAD}{_DELTA}\n\n".encode()
MESSAGE_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"qwen3-coder-plus","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":0,"output_tokens":0}}}\n\nevent: content_block_start\n'
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
)
MESSAGE_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"word "}}\n\n'
)
MESSAGE_END = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\nevent: message_delta\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"input_tokens":400,"output_tokens":100}}\n\nevent: message_stop\n'
    b'data: {"type":"message_stop"}\n\n'
)
LAST_CHUNKS = f"data: {_HEAD}{_FINISH}\n\ndata: [DONE]\n\n".encode()
COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "qwen3-coder-plus",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "word " * 100},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500},
    }
).encode()

_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_COMPLETION_ANSWER = _WHOLE_HEAD % len(COMPLETION) + COMPLETION
_content_length = re.compile(rb"content-length: *(\d+)", re.IGNORECASE).search
_wish = re.compile(rb'"(?:bench|user|user_id)": ?"(paced|stamped|burst|embeddings) (\d+) ?([\d.]*)"').search


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@cache
def _embeddings(count: int) -> bytes:
    """So many vectors of 1,024 numbers, as DashScope writes them."""
    numbers = random.Random(count)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": [numbers.uniform(-0.2, 0.2) for _ in range(1024)],
        }
        for index in range(count)
    ]
    usage = {"prompt_tokens": 500, "total_tokens": 500}
    answer = {"object": "list", "data": data, "model": "text-embedding-v4", "usage": usage}
    body = json.dumps(answer).encode()
    return _WHOLE_HEAD % len(body) + body


class Words(NamedTuple):
    """What a stream begins with, consists of and ends with, as HTTP has it."""

    start: bytes
    chunk: bytes
    end: bytes


CHAT = Words(b"", _http_chunk(CHUNK), _http_chunk(LAST_CHUNKS) + b"0\r\n\r\n")
MESSAGES = Words(
    _http_chunk(MESSAGE_START), _http_chunk(MESSAGE_DELTA), _http_chunk(MESSAGE_END) + b"0\r\n\r\n"
)


def _stamped() -> bytes:
    """A chunk whose text says when it was sent, in nanoseconds of the machine's monotonic clock."""
    return _http_chunk(CHUNK.replace(b"word ", b"at %d " % time.monotonic_ns()))


class _Connection(asyncio.Protocol):
    """One connection, requests one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = bytearray()
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end_of_head = self._received.find(b"\r\n\r\n")
        if end_of_head < 0:
            return
        length = _content_length(bytes(self._received[:end_of_head]))
        end = end_of_head + 4 + (int(length.group(1)) if length else 0)
        if len(self._received) >= end:
            self._words = MESSAGES if self._received.find(b"/messages ", 0, end_of_head) > 0 else CHAT
            body = bytes(self._received[end_of_head + 4 : end])
            del self._received[:end]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        wish = _wish(body)
        if wish is None:
            self._transport.write(_COMPLETION_ANSWER)
        elif wish[1] == b"embeddings":
            self._transport.write(_embeddings(int(wish[2])))
        elif wish[1] == b"burst":
            words = self._words
            self._transport.write(_STREAM_HEAD + words.start + words.chunk * int(wish[2]) + words.end)
        else:
            self._transport.write(_STREAM_HEAD + self._words.start)
            self._is_stamped = wish[1] == b"stamped"
            self._send_paced(int(wish[2]), float(wish[3]) / 1000, self._loop.time())

    def _send_paced(self, left: int, pause_seconds: float, due: float) -> None:
        if self._transport.is_closing():
            return
        if left == 0:
            self._transport.write(self._words.end)
            return
        self._transport.write(_stamped() if self._is_stamped else self._words.chunk)
        due += pause_seconds
        self._loop.call_at(due, self._send_paced, left - 1, pause_seconds, due)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # When standard input ends, so does the benchmark.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
