"""A gateway with several accounts, and a Qwen that answers each of them as a test says."""

import json
from typing import Any

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.state import CredentialState
from qwen_worker.platform.ports import OutboundRequest, Response
from tests.simulator.named_faults import NAMED_FAULTS
from tests.support.background import TaskBackground
from tests.support.clock import START_MS, VirtualClock
from tests.support.kv import MemoryKV
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response

COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}
THREE = {"QWEN_API_KEY": '["key-a", "key-b", "key-c"]'}
LABELS = {"a": "QWEN_API_KEY", "b": "QWEN_API_KEY.2", "c": "QWEN_API_KEY.3"}


class World:
    """A gateway with several accounts, and a Qwen that answers each of them as the test says.

    `answers` maps the last letter of a key to its answers, used up one a request; the last one stays.
    """

    def __init__(self, variables: dict[str, str] | None = None, *, clock: Any = None, **answers: Any) -> None:
        self.answers: dict[str, list[Any]] = {
            name: list(answer) if isinstance(answer, list) else [answer] for name, answer in answers.items()
        }
        self.asked: list[str] = []
        self.logs = LogRecorder()
        self.clock = clock or VirtualClock()
        self.kv = MemoryKV()
        self.background = TaskBackground()
        self.fetcher = ScriptedFetcher(self._answer)
        self.settings = Settings.from_env(variables or THREE)
        assert self.settings.problems == ()
        self.new_isolate()

    def new_isolate(self) -> None:
        """Forgets all but KV."""
        self._credentials = CredentialState()
        self.pool = AccountPool(self.settings, self._credentials)
        self._gateway = Gateway(self.settings, self.pool, self.logs, started_ms=START_MS)

    def configure(self, variables: dict[str, str], *, forget: bool = False) -> None:
        """Changes the settings; with `forget`, by a deployment: a new isolate begins."""
        self.settings = Settings.from_env(variables)
        assert self.settings.problems == ()
        if forget:
            self.new_isolate()
            return
        self.pool = AccountPool(self.settings, self._credentials, self.pool.record)
        self._gateway = Gateway(self.settings, self.pool, self.logs, started_ms=START_MS)

    async def scheduled(self) -> None:
        """The cron event."""
        await self._gateway.scheduled(self._runtime())

    def _answer(self, request: OutboundRequest) -> Any:
        name = request.headers["authorization"][-1]
        self.asked.append(name)
        answers = self.answers.get(name) or [ok()]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def chat(self, content: str = "hello", **fields: Any) -> Response:
        self.asked.clear()
        body = {"messages": [{"role": "user", "content": content}], **fields}
        response = await gateway_response(
            self._gateway, ScriptedRequest("POST", "/v1/chat/completions", body=body), self._runtime()
        )
        await self.background.finished()
        return response

    async def account_for(self, content: str, **fields: Any) -> str:
        """Which account answers."""
        assert (await self.chat(content, **fields)).status == 200
        return self.asked[-1]

    async def health(self) -> list[dict[str, Any]]:
        response = await gateway_response(self._gateway, ScriptedRequest("GET", "/health"), self._runtime())
        assert isinstance(response.body, str)
        accounts: list[dict[str, Any]] = json.loads(response.body)["accounts"]
        return accounts

    def _runtime(self) -> Any:
        return make_runtime(clock=self.clock, fetcher=self.fetcher, kv=self.kv, background=self.background)


def ok() -> ScriptedResponse:
    return ScriptedResponse(200, COMPLETION)


def fault(name: str) -> Any:
    """One of the simulator's faults, as the fetch port gives it."""
    described = NAMED_FAULTS[name]
    headers: Any = described.get("headers", {})
    body: Any = described["body"]
    content_type = {"content-type": str(described["content_type"])} if "content_type" in described else {}
    return ScriptedResponse(
        int(str(described["status"])), body, {**content_type, **{k.lower(): v for k, v in headers.items()}}
    )


def error_of(response: Response) -> dict[str, Any]:
    assert isinstance(response.body, str)
    error: dict[str, Any] = json.loads(response.body)["error"]
    return error
