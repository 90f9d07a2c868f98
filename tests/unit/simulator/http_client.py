"""A bare HTTP/1.1 client for the simulator's tests: it shows the bytes on the wire as they are."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.simulator import DEFAULT_API_KEY, QwenSimulator

QUESTION = {"role": "user", "content": "Why is the sky blue?"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; `complete` tells whether its body, cut into HTTP `chunks`, came to a proper end."""

    status: int
    headers: dict[str, str]
    body: bytes
    chunks: tuple[bytes, ...]
    complete: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The data of a stream with plain framing, each parsed, `[DONE]` as text."""
        datas = [event.removeprefix("data: ") for event in self.body.decode().split("\n\n") if event]
        return [data if data == "[DONE]" else json.loads(data) for data in datas]


def chat_body(**fields: Any) -> dict[str, Any]:
    return {"model": "qwen3-coder-plus", "messages": [QUESTION], **fields}


async def chat(
    simulator: QwenSimulator,
    *,
    token: str = DEFAULT_API_KEY,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Answer:
    """Send a chat request made of `chat_body(**fields)`."""
    return await chat_with_body(simulator, json.dumps(chat_body(**fields)).encode(), token, headers or {})


async def chat_with_body(
    simulator: QwenSimulator, body: bytes, token: str = DEFAULT_API_KEY, headers: dict[str, str] | None = None
) -> Answer:
    """Send a chat request whose body is these bytes."""
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    return await exchange(simulator, "/v1/chat/completions", body, headers)


async def post_form(simulator: QwenSimulator, path: str, **form: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "test"}
    return await exchange(simulator, path, urlencode(form).encode(), headers)


async def exchange(simulator: QwenSimulator, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Post `body` and read until the simulator closes. Raises ConnectionError if it does not answer."""
    reader, writer = await send(simulator, path, body, headers)
    try:
        return _parsed(await reader.read())
    finally:
        writer.close()


async def send(
    simulator: QwenSimulator, path: str, body: bytes, headers: dict[str, str]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Post `body` and leave the answer to the caller."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    lines = {"Host": "simulator", "Connection": "close", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return reader, writer


def _parsed(received: bytes) -> Answer:
    if not received:
        raise ConnectionResetError("closed without an answer")
    head, _, rest = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    status = int(status_line.split()[1])
    if headers.get("transfer-encoding") != "chunked":
        return Answer(status, headers, rest, (), len(rest) == int(headers["content-length"]))
    chunks: list[bytes] = []
    while True:
        size_line, _, rest = rest.partition(b"\r\n")
        size = int(size_line or b"0", 16)
        if not size:
            return Answer(status, headers, b"".join(chunks), tuple(chunks), size_line == b"0")
        chunks.append(rest[:size])
        rest = rest[size + 2 :]
