"""A gateway and a host for tests of legacy completions."""

import json
from typing import Any

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.state import CredentialState
from qwen_worker.platform.ports import OutboundRequest, Response
from tests.support.chunks import USAGE, events
from tests.support.clock import START_MS, VirtualClock
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response
from tests.support.streams import MemoryPipe

KEY = {"QWEN_API_KEY": "key-a"}
BEIJING = {**KEY, "QWEN_BASE_URL": "https://dashscope.aliyuncs.com/compatible-mode/v1"}
TURBO = "qwen-coder-turbo"
REFUSAL = {"error": {"message": "No.", "code": "data_inspection_failed"}}
NATIVE = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 7,
    "model": TURBO,
    "choices": [{"text": "return 1", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    "usage": USAGE,
}


def completion(*contents: str, reason: str = "stop") -> ScriptedResponse:
    """A whole chat completion with these choices."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": content}, "finish_reason": reason}
        for index, content in enumerate(contents)
    ]
    envelope = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m"}
    return ScriptedResponse(200, {**envelope, "choices": choices, "usage": USAGE})


class World:
    """A gateway and a host with one answer, or one for each request."""

    def __init__(self, answer: Any, variables: dict[str, str] | None = None) -> None:
        self._answer = answer
        self.fetcher = ScriptedFetcher(self._next)
        self.logs = LogRecorder()
        settings = Settings.from_env(variables or KEY)
        pool = AccountPool(settings, CredentialState())
        self.gateway = Gateway(settings, pool, self.logs, started_ms=START_MS)

    def _next(self, request: OutboundRequest) -> Any:
        return self._answer(json.loads(request.body or b"")) if callable(self._answer) else self._answer

    async def respond(self, body: Any) -> Response:
        return await gateway_response(
            self.gateway,
            ScriptedRequest("POST", "/v1/completions", body=body),
            make_runtime(clock=VirtualClock(), fetcher=self.fetcher),
        )

    async def begin(self, **fields: Any) -> MemoryPipe:
        content = (await self.respond(fields)).body
        assert isinstance(content, MemoryPipe)
        return content

    async def create(self, body: Any) -> tuple[int, bytes]:
        response = await self.respond(body)
        content = response.body
        if isinstance(content, MemoryPipe):
            return response.status, await content.content()
        assert isinstance(content, bytes | str)
        return response.status, content if isinstance(content, bytes) else content.encode()

    async def answer(self, **fields: Any) -> Any:
        status, body = await self.create(fields)
        assert status == 200, body
        return json.loads(body)

    async def stream(self, **fields: Any) -> list[Any]:
        status, body = await self.create({**fields, "stream": True})
        assert status == 200, body
        return events(body)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(request.body or b"") for request in self.fetcher.requests]

    @property
    def url(self) -> str:
        return self.fetcher.requests[0].url


def joined(found: list[Any], index: int = 0) -> str:
    return "".join(
        choice["text"]
        for data in found
        if data != "[DONE]"
        for choice in data["choices"]
        if choice["index"] == index
    )
