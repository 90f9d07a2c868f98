"""Asks the simulator, and shows what came down to the HTTP chunks and to a broken end."""

from typing import Any, NamedTuple

import httpx

from tests.simulator import DEFAULT_API_KEY, QwenSimulator

QUESTION = {"role": "user", "content": "Why is the sky blue?"}


class Answer(NamedTuple):
    """A response; `is_complete` tells whether its body came to a proper end."""

    status: int
    headers: httpx.Headers
    chunks: list[bytes]
    is_complete: bool

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


def chat_body(**fields: Any) -> dict[str, Any]:
    return {"model": "qwen3-coder-plus", "messages": [QUESTION], **fields}


async def chat(simulator: QwenSimulator, *, token: str = DEFAULT_API_KEY, **fields: Any) -> Answer:
    """The answer to a chat request with these fields. Raises httpx.TransportError if none begins."""
    headers = {"Authorization": f"Bearer {token}"}
    return await post(simulator, "/v1/chat/completions", headers=headers, json=chat_body(**fields))


async def post(simulator: QwenSimulator, path: str, **request: Any) -> Answer:
    """The answer to a POST. Raises httpx.TransportError if none begins."""
    chunks = []
    async with (
        httpx.AsyncClient(base_url=simulator.url) as client,
        client.stream("POST", path, **request) as response,
    ):
        try:
            async for chunk in response.aiter_raw():
                chunks.append(chunk)  # noqa: PERF401 - those before a broken end count
        except httpx.TransportError:
            return Answer(response.status_code, response.headers, chunks, is_complete=False)
        return Answer(response.status_code, response.headers, chunks, is_complete=True)
