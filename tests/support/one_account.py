"""A gateway with one key, and a Qwen that answers as a test says."""

import json
from typing import Any, NamedTuple

from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.platform.ports import OutboundRequest
from tests.support.accounts import new_pool
from tests.support.clock import START_MS, VirtualClock
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, make_runtime
from tests.support.responses import gateway_response
from tests.support.streams import MemoryPipe

MESSAGES = [{"role": "user", "content": "hello"}]


class Told(NamedTuple):
    """What the client is told, to the end."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def text(self) -> str:
        """All of it, as text."""
        return f"{self.status} {json.dumps(self.headers)} {self.data.decode('utf-8', 'replace')}"

    @property
    def error(self) -> dict[str, Any]:
        """The error of a response that is one."""
        error: dict[str, Any] = json.loads(self.data)["error"]
        return error


class OneAccount:
    """`answers` are used up one a request; the last one stays. Each is a response, an exception, or makes one
    of the request.
    """

    def __init__(self, *answers: Any, **variables: str) -> None:
        self._answers = answers
        self.logs = LogRecorder()
        self.clock = VirtualClock()
        self.fetcher = ScriptedFetcher(self._answer)
        settings = Settings.from_env({"QWEN_API_KEY": "upstream-key-1", "LOG_LEVEL": "debug", **variables})
        assert settings.problems == ()
        self._gateway = Gateway(settings, new_pool(settings), self.logs, started_ms=START_MS)

    def _answer(self, request: OutboundRequest) -> Any:
        answer = self._answers[min(len(self.fetcher.requests), len(self._answers)) - 1]
        return answer(request) if callable(answer) else answer

    async def post(
        self,
        body: dict[str, Any] | None = None,
        path: str = "/v1/chat/completions",
        headers: dict[str, str] | None = None,
    ) -> Told:
        """Posts a body, or a question if there is none, and waits for the end of the answer."""
        request = ScriptedRequest(
            "POST", path, headers=headers, body={"messages": MESSAGES} if body is None else body
        )
        runtime = make_runtime(clock=self.clock, fetcher=self.fetcher)
        response = await gateway_response(self._gateway, request, runtime)
        content = response.body
        if isinstance(content, MemoryPipe):
            content = await content.content()
        assert isinstance(content, str | bytes)
        return Told(
            response.status, response.headers, content if isinstance(content, bytes) else content.encode()
        )

    @property
    def sent(self) -> dict[str, Any]:
        """The body of the last request to Qwen."""
        body: dict[str, Any] = json.loads(self.fetcher.requests[-1].body or b"")
        return body
