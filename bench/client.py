"""A client that costs little and knows when each piece arrived."""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

_END = b"\n\n\r\n0\r\n\r\n"
"""How the last event of a stream and its last HTTP chunk end."""
_stamps = re.compile(rb"at (\d+) ").findall

CLIENT_KEY = "bench-client-key"


@dataclass
class Answer:
    """What came back, and when (seconds of time.perf_counter)."""

    asked_at: float = 0.0
    status: int = 0
    is_stream: bool = False
    size_bytes: int = 0
    arrivals: list[float] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list, repr=False)

    @property
    def first_byte_seconds(self) -> float:
        """From the request to the first byte of the body."""
        return self.arrivals[0] - self.asked_at

    @property
    def is_complete(self) -> bool:
        """Whether it is no error, and a stream ended as its API's clients expect."""
        if self.status != 200 or not self.is_stream:
            return self.status == 200
        body = b"".join(self.pieces)
        if not body.endswith(_END):
            return False
        words = body.removesuffix(_END)
        return words.endswith((b"data: [DONE]", b'"message_stop"}')) or b"event: response.completed" in words


class Connection(asyncio.Protocol):
    """A kept-alive connection for one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, request: bytes) -> Answer:
        """Sends a request and returns when the answer is complete."""
        self._answer = Answer(asked_at=time.perf_counter())
        self._head = self._tail = b""
        self._left: int | None = None
        self._in_body = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._done
        return self._answer

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._head += data
            head, separator, data = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            self._in_body = True
            self._read_head(head)
        answer = self._answer
        if data:
            answer.arrivals.append(time.perf_counter())
            answer.size_bytes += len(data)
            answer.pieces.append(data)
            self._tail = (self._tail + data)[-7:]
        is_over = self._tail.endswith(b"0\r\n\r\n") if self._left is None else answer.size_bytes >= self._left
        if is_over and not self._done.done():
            self._done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if hasattr(self, "_done") and not self._done.done():
            self._done.set_exception(ConnectionError("the connection was closed within an answer"))

    def _read_head(self, head: bytes) -> None:
        self._answer.status = int(head.split(b" ", 2)[1])
        for line in head.lower().split(b"\r\n")[1:]:
            if line.startswith(b"content-length:"):
                self._left = int(line[15:])
            elif line.startswith(b"content-type: text/event-stream"):
                self._answer.is_stream = True


async def connect(port: int) -> Connection:
    """Opens a connection to loopback."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    return connection


async def ask_once(port: int, request: bytes) -> Answer:
    """One request on a connection of its own."""
    connection = await connect(port)
    try:
        return await connection.ask(request)
    finally:
        connection.close()


async def leave_early(port: int, request: bytes) -> None:
    """Asks for a stream on a connection of its own, and closes that as soon as something comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readuntil(b"data: ")
    writer.close()


async def text_delays(port: int, request: bytes) -> list[float]:
    """Asks for a stream of stamped texts (see bench.upstream); seconds from sending to arrival of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    delays: list[float] = []
    while b"[DONE]" not in (line := await reader.readline()):
        if not line:
            raise ConnectionError("the stream ended without [DONE]")
        now = time.monotonic_ns()
        delays += [(now - int(stamp)) / 1e9 for stamp in _stamps(line)]
    writer.close()
    return delays


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {CLIENT_KEY}\r\n\r\n".encode()


def chat(size_bytes: int = 0, *, bench: str | None = None, **options: Any) -> bytes:
    """A POST of a conversation of about this size; with `bench`, a stream as bench.upstream has them.
    `options` are further fields of the body.
    """
    body: dict[str, Any] = {"model": "qwen3-coder-plus", "messages": _conversation(size_bytes), **options}
    if bench is not None:
        body |= {"stream": True, "bench": bench}
    return post("/v1/chat/completions", body)


def response(*, bench: str) -> bytes:
    """A POST of 2 KB to the Responses API, for a stream as bench.upstream has them."""
    text = "Read the file first, then change what must be changed (größer als nötig), and nothing else. " * 20
    return post("/v1/responses", {"model": "qwen3-coder-plus", "input": text, "stream": True, "bench": bench})


def post(path: str, body: dict[str, Any]) -> bytes:
    """A POST of a JSON object."""
    data = json.dumps(body, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {CLIENT_KEY}\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _conversation(size_bytes: int) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": "You are a helpful assistant."}]
    sentence = "Please look at this piece of code (größer als nötig) and tell me what it does, line by line. "
    while size_bytes > 0:
        role = "user" if len(messages) % 2 else "assistant"
        text = sentence * min(12, 1 + size_bytes // len(sentence))
        messages.append({"role": role, "content": text})
        size_bytes -= len(text) + 40
    if messages[-1]["role"] != "user":
        messages.append({"role": "user", "content": "Say hello."})
    return messages
