"""Gateways that people log in at: isolates in several places, one KV, the simulator's Qwen without HTTP."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from qwen_worker import last_cron
from qwen_worker.accounts.pool import AccountPool
from qwen_worker.app import Isolate
from qwen_worker.platform.ports import OutboundRequest
from tests.simulator.config import SimulatorConfig
from tests.simulator.oauth import OAuthState
from tests.support.background import TaskBackground
from tests.support.clock import VirtualClock, pass_time
from tests.support.kv import MemoryKV, Namespace
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response
from tests.support.several_accounts import fault, ok

ADMIN = "admin-key-1"
CLIENT = "client-key-1"
VARIABLES = {"ADMIN_KEY": ADMIN, "CLIENT_KEYS": f"alice={CLIENT}", "LOG_LEVEL": "debug"}
POLL_SECONDS = 2.0


class Told(NamedTuple):
    """What a client is told."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def error(self) -> tuple[int, str, str | None]:
        return self.status, self.body["error"]["code"], self.body["error"]["param"]


class LoginWorld:
    """Qwen and KV. `answers` come in place of the simulator's, by the end of a URL, one a request."""

    def __init__(self, namespace: Namespace | None = None, *, token_seconds: float = 21_600.0) -> None:
        self.clock = VirtualClock()
        config = SimulatorConfig(
            access_token_lifetime_seconds=token_seconds, clock=lambda: self.clock.now_ms() / 1000
        )
        self.oauth = OAuthState(config)
        self.namespace = namespace or Namespace()
        self.answers: dict[str, list[Any]] = {}
        self.logs = LogRecorder()
        self.fetcher = ScriptedFetcher(self._answer)
        self.asked: list[str] = []
        """The logins, by the simulator's names, that chat completions were asked of."""

    def isolate(self, env: dict[str, str] | None = None) -> GatewayIsolate:
        """A fresh isolate, in a place of its own."""
        return GatewayIsolate(self, {**VARIABLES, **(env or {})})

    @property
    def keys(self) -> list[str]:
        """What KV has of logins, but for the pending ones, which expire."""
        return sorted(key for key in self.namespace.values if ":pending:" not in key and key != last_cron.KEY)

    @property
    def polls(self) -> int:
        return sum(b"device_code" in (request.body or b"") for request in self.fetcher.requests)

    async def _answer(self, request: OutboundRequest) -> Any:
        await pass_time(0.1)
        for end, answers in self.answers.items():
            if request.url.endswith(end) and answers:
                return answers.pop(0)
        form = dict(parse_qsl((request.body or b"").decode()))
        if request.url.endswith("/device/code"):
            answer = self.oauth.device_flow.start(form)
        elif request.url.endswith("/token"):
            answer = self.oauth.token(form)
        else:
            return self._completion(request)
        return ScriptedResponse(answer.status, answer.body)

    def _completion(self, request: OutboundRequest) -> Any:
        login = self.oauth.login_of_access_token(request.headers["authorization"].removeprefix("Bearer "))
        if login is None:
            return fault("invalid_api_key")
        self.asked.append(login.name)
        return ok()


class GatewayIsolate:
    """One isolate of the gateway, and a client of it."""

    def __init__(self, world: LoginWorld, env: dict[str, str]) -> None:
        self.world = world
        self.env: dict[str, str] = env
        self._chats = 0
        self.kv = MemoryKV(namespace=world.namespace)
        self.background = TaskBackground()
        self._isolate = Isolate()
        self._runtime = make_runtime(
            clock=world.clock, fetcher=world.fetcher, kv=self.kv, background=self.background
        )

    @property
    def pool(self) -> AccountPool:
        """The isolate's accounts."""
        return self._isolate.gateway(self.env, self.world.logs).pool

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = ADMIN, raw: bytes = b""
    ) -> Told:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        request = ScriptedRequest(
            method, path, headers=headers, body=raw if body is None else json.dumps(body)
        )
        gateway = self._isolate.gateway(self.env, self.world.logs)
        response = await gateway_response(gateway, request, self._runtime)
        assert isinstance(response.body, str | bytes)
        return Told(response.status, json.loads(response.body), response.headers)

    async def chat(self, key: str = CLIENT) -> Told:
        """A chat completion, each of a new conversation."""
        self._chats += 1
        body = {"messages": [{"role": "user", "content": f"hello {self._chats}"}]}
        return await self.ask("POST", "/v1/chat/completions", body, key=key)

    async def begin(self, label: str | None = None) -> dict[str, Any]:
        """Begins a login."""
        told = await self.ask("POST", "/v1/logins", {} if label is None else {"label": label})
        assert told.status == 201, told
        begun: dict[str, Any] = told.body
        return begun

    async def poll(self, login: dict[str, Any]) -> dict[str, Any]:
        """Asks how a login is."""
        told = await self.ask("GET", f"/v1/logins/{login['id']}")
        assert told.status == 200, told
        found: dict[str, Any] = told.body
        return found

    async def log_in(self, label: str | None = None) -> dict[str, Any]:
        """A login that the user approves."""
        begun = await self.begin(label)
        self.world.oauth.approve(begun["user_code"])
        found = await self.poll(begun)
        assert found["status"] == "active", found
        return found

    async def logins(self) -> dict[str, Any]:
        """The logins by label."""
        told = await self.ask("GET", "/v1/logins")
        return {login["label"]: login for login in told.body["data"]}

    async def health(self, key: str | None = ADMIN) -> dict[str, Any]:
        body: dict[str, Any] = (await self.ask("GET", "/health", key=key)).body
        return body

    async def accounts(self) -> dict[str, Any]:
        """The accounts of /health by label."""
        return {account["label"]: account for account in (await self.health())["accounts"]}

    async def cron(self) -> None:
        await self._isolate.gateway(self.env, self.world.logs).scheduled(self._runtime)
        await self.background.finished()
