"""The simulator's HTTP server: how it starts and stops, and how it answers a request."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from types import TracebackType
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import ValidationError

from tests.simulator import authorize_page
from tests.simulator.chat_endpoint import ChatEndpoint
from tests.simulator.config import SimulatorConfig
from tests.simulator.embeddings_endpoint import EmbeddingsEndpoint
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import Endpoint, FaultQueue
from tests.simulator.json_types import JsonValue, as_object
from tests.simulator.legacy_endpoint import LegacyEndpoint
from tests.simulator.messages_endpoint import MessagesEndpoint
from tests.simulator.models_endpoint import ModelsEndpoint
from tests.simulator.oauth import Login, OAuthState
from tests.simulator.oauth_endpoint import OAuthEndpoint
from tests.simulator.public_hosts import PUBLIC_HOSTS
from tests.simulator.recording import Outcome, ReceivedRequest, Recorder
from tests.simulator.responses_endpoint import ResponsesEndpoint

_LARGEST_BODY: Final = 256 * 1024 * 1024
_BACKLOG: Final = 1024
_API_ENDPOINTS: Final = ("chat", "responses", "messages", "count_tokens", "embeddings", "completions")
_OAUTH_ENDPOINTS: Final = ("token", "device_code")


class QwenSimulator:
    """Plays chat.qwen.ai, and Qwen's chat completions, Responses and Messages APIs, on one port.

    Use as an asynchronous context manager, or through `run_in_thread`. `oauth` holds the logins, `faults`
    the queued faults, `recorder` what was received.
    """

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config = config or SimulatorConfig()
        self.oauth = OAuthState(self.config)
        self.faults = FaultQueue()
        self.recorder = Recorder()
        self.port = 0
        self._chat = ChatEndpoint(self.config, self.oauth, self.faults)
        self._embeddings = EmbeddingsEndpoint(self.config, self.faults)
        self._models = ModelsEndpoint(self.config, self.faults)
        self._responses = ResponsesEndpoint(self.config, self.oauth, self.faults)
        self._messages = MessagesEndpoint(self.config, self.oauth, self.faults)
        self._legacy = LegacyEndpoint(self.config)
        self._oauth = OAuthEndpoint(self.oauth, self.faults)
        self._runner: web.AppRunner | None = None
        self._answering: set[asyncio.Task[object]] = set()
        self._stopping = False

    @property
    def url(self) -> str:
        """The simulator's root, and the base URL of its OAuth endpoints; no trailing slash."""
        return f"http://{self.config.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """The base URL of the API, ending in /v1."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All requests recorded, oldest first."""
        return self.recorder.requests()

    @property
    def chats(self) -> list[ReceivedRequest]:
        """The chat requests recorded, oldest first."""
        return self.recorder.requests("chat")

    def find(self, key: str) -> list[ReceivedRequest]:
        """Return the attempts of one logical request by `simulate.key` or x-request-id, oldest first."""
        return self.recorder.find(key)

    def create_login(
        self,
        name: str | None = None,
        *,
        access_token_seconds: float | None = None,
        resource_url: str | None = None,
    ) -> Login:
        """Log a new user in; `login.credentials()` is what QWEN_CLI_AUTH takes. See
        `OAuthState.create_login`.
        """
        return self.oauth.create_login(
            name, access_token_seconds=access_token_seconds, resource_url=resource_url
        )

    # start and stop

    async def start(self) -> None:
        """Listen; afterwards `port` is known."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.config.port, backlog=_BACKLOG)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        self.oauth.default_resource_url = self.api_url
        self.oauth.device_flow.verification_uri = f"{self.url}/authorize"

    async def stop(self) -> None:
        """Cut all connections and stop listening."""
        self._stopping = True
        for task in self._answering:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> QwenSimulator:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    # one request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw_body = await request.read()
        endpoint = _endpoint(request)
        body = _parsed_json(raw_body) if endpoint in _API_ENDPOINTS else None
        record = self._received(request, endpoint, raw_body, body)
        self.recorder.add(record)
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        outcome: Outcome = "failed"
        try:
            exchange = Exchange(request, record, self.recorder)
            try:
                response = await self._answer(exchange, body)
            except ValidationError as error:
                response = await exchange.send_misuse(error)
            outcome = "completed"
            return response
        except (asyncio.CancelledError, ConnectionError):
            outcome = "stopped" if self._stopping else "client_disconnected"
            raise
        finally:
            self._answering.discard(task)
            self.recorder.end(record, outcome)

    def _received(
        self, request: web.Request, endpoint: Endpoint, raw_body: bytes, body: JsonValue
    ) -> ReceivedRequest:
        simulate = as_object(as_object(body).get("simulate"))
        key = simulate.get("key")
        return ReceivedRequest(
            endpoint=endpoint,
            method=request.method,
            path=request.path,
            headers=request.headers,
            raw_body=raw_body,
            body=body,
            form=dict(parse_qsl(raw_body.decode("utf-8", "replace"))) if endpoint in _OAUTH_ENDPOINTS else {},
            received_at=time.monotonic(),
            key=key if isinstance(key, str) else request.headers.get("x-request-id", ""),
            request_id=uuid.uuid4().hex,
        )

    async def _answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        endpoint = exchange.record.endpoint
        public = PUBLIC_HOSTS.get(exchange.request.host)
        fault = None if public is None else public.answer(exchange.record)
        if fault is not None:
            return await exchange.send_fault(fault)
        if endpoint == "chat":
            return await self._chat.answer(exchange, body)
        if endpoint == "embeddings":
            return await self._embeddings.answer(exchange, body)
        if endpoint == "completions":
            return await self._legacy.answer(exchange, body)
        if endpoint == "models":
            return await self._models.answer(exchange)
        if endpoint == "responses":
            return await self._responses.answer(exchange, body)
        if endpoint in ("messages", "count_tokens"):
            return await self._messages.answer(exchange, body)
        if endpoint in _OAUTH_ENDPOINTS:
            return await self._oauth.answer(exchange)
        if endpoint == "authorize":
            return await authorize_page.answer(exchange.request, self.oauth)
        return await exchange.send_json(404, {"error": {"message": "Not found", "code": "not_found"}})


def _endpoint(request: web.Request) -> Endpoint:
    path = request.path
    if path.endswith("/chat/completions") and request.method == "POST":
        return "chat"
    if path.endswith("/completions") and request.method == "POST":
        return "completions"
    if path.endswith("/models") and request.method == "GET":
        return "models"
    if path.endswith("/embeddings") and request.method == "POST":
        return "embeddings"
    if path.endswith("/responses") and request.method == "POST":
        return "responses"
    if path.endswith("/messages") and request.method == "POST":
        return "messages"
    if path.endswith("/messages/count_tokens") and request.method == "POST":
        return "count_tokens"
    if path.endswith("/api/v1/oauth2/token"):
        return "token"
    if path.endswith("/api/v1/oauth2/device/code"):
        return "device_code"
    if path == "/authorize":
        return "authorize"
    return "other"


def _parsed_json(raw_body: bytes) -> JsonValue:
    try:
        document: JsonValue = json.loads(raw_body)
    except (ValueError, RecursionError):
        return None
    return document
