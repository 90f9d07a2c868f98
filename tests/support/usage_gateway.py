"""A gateway of one isolate whose usage is counted, in front of a Qwen that is a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.platform.ports import RateLimit, Response, Runtime
from tests.support.accounts import new_pool
from tests.support.background import TaskBackground
from tests.support.clock import START_MS, VirtualClock
from tests.support.database import SqliteDatabase
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response


def completion(input_tokens: int = 10, output_tokens: int = 5) -> dict[str, Any]:
    """A chat completion that took so many tokens."""
    return {
        "id": "c1",
        "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": "an answer"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens},
    }


class UsageGateway:
    """One isolate. Several may share a database and a clock."""

    def __init__(
        self,
        answer: Callable[[Any], Any] | None = None,
        *,
        database: SqliteDatabase | None,
        clock: VirtualClock | None = None,
        rate_limit: Callable[[int], RateLimit | None] = lambda _: None,
        **variables: str,
    ) -> None:
        self.logs = LogRecorder()
        self.clock = clock or VirtualClock()
        self.background = TaskBackground()
        self.database = database
        settings = Settings.from_env({"QWEN_API_KEY": "upstream-key-1", **variables})
        assert settings.problems == ()
        self.gateway = Gateway(settings, new_pool(settings), self.logs, started_ms=START_MS)
        self._rate_limit = rate_limit
        self._fetcher = ScriptedFetcher(answer or (lambda _: ScriptedResponse(200, completion())))

    @property
    def runtime(self) -> Runtime:
        """What a request is given."""
        return make_runtime(
            clock=self.clock,
            fetcher=self._fetcher,
            background=self.background,
            database=self.database,
            rate_limit=self._rate_limit,
        )

    async def ask(self, key: str, method: str, path: str, **request: Any) -> Response:
        """The answer to a request with a key."""
        headers = {"authorization": f"Bearer {key}", **request.pop("headers", {})}
        asked = ScriptedRequest(method, path, headers=headers, **request)
        return await gateway_response(self.gateway, asked, self.runtime)

    async def chat(self, key: str, model: str = "qwen3-coder-plus", **body: Any) -> Response:
        """The answer to a chat."""
        messages = [{"role": "user", "content": "Say hello."}]
        return await self.ask(
            key, "POST", "/v1/chat/completions", body={"model": model, "messages": messages, **body}
        )

    async def usage(self, key: str, query: str = "by=key") -> dict[str, Any]:
        """What GET /v1/usage tells."""
        body: dict[str, Any] = parsed(await self.ask(key, "GET", f"/v1/usage?{query}"))
        return body


def parsed(response: Response) -> Any:
    """The JSON of a response."""
    assert isinstance(response.body, str | bytes)
    return json.loads(response.body)
