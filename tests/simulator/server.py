"""The simulator's HTTP server: its life, and one request's way from receipt to answer."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from tests.simulator.completions import Completion
from tests.simulator.config import SimulatorConfig
from tests.simulator.control import CONTROL_PREFIX, answer_control
from tests.simulator.fault_queue import Endpoint, FaultQueue
from tests.simulator.faults import HEALTHY, Fault, Simulation, SimulationError
from tests.simulator.json_types import JsonObject, JsonValue, as_object, compact
from tests.simulator.named_faults import NAMED_FAULTS
from tests.simulator.oauth import Login, OAuthAnswer, OAuthState
from tests.simulator.portal_rules import Violation, alias_violation, general_violation, portal_violation
from tests.simulator.recording import Outcome, ReceivedRequest, Recorder
from tests.simulator.wire import BodyWriter, break_off, forever, pause

_LARGEST_BODY: Final = 256 * 1024 * 1024
_BACKLOG: Final = 1024
_EVENTS_PER_TURN: Final = 64
_EVENT_STREAM: Final = "text/event-stream;charset=UTF-8"
_JSON: Final = "application/json"
_MISUSE_STATUS: Final = 418
_OAUTH_ENDPOINTS: Final = ("token", "device_code")
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credential a chat request bears: the login (OAuth) or nothing but the name (API key)."""

    name: str
    login: Login | None = None


class QwenSimulator:
    """Plays chat.qwen.ai and Qwen's chat completions API on one port.

    Use as an asynchronous context manager, or through `run_in_thread`. `oauth` holds the logins, `faults`
    the queued faults, `recorder` what was received.
    """

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config = config or SimulatorConfig()
        self.oauth = OAuthState(self.config)
        self.faults = FaultQueue()
        self.recorder = Recorder(self.config.recorded_requests)
        self.port = 0
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

    def attempts(self, key: str) -> int:
        """Count the attempts of one logical request."""
        return len(self.find(key))

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

    # life

    async def start(self) -> None:
        """Listen; afterwards `port` is known."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.config.port, backlog=_BACKLOG)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        if self.oauth.default_resource_url is None:
            self.oauth.default_resource_url = self.api_url

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
        if request.path.startswith(CONTROL_PREFIX):
            return answer_control(self, request.method, request.path, request.query, raw_body)
        endpoint = _endpoint(request)
        body = _parsed_json(raw_body) if endpoint == "chat" else None
        record = self._received(request, endpoint, raw_body, body)
        self.recorder.add(record)
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        outcome: Outcome = "failed"
        try:
            response = await self._answer(request, record, body)
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
            number=self.recorder.total + 1,
            endpoint=endpoint,
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers=request.headers,
            raw_body=raw_body if self.config.record_bodies else b"",
            body=body if self.config.record_bodies else None,
            form=dict(parse_qsl(raw_body.decode("utf-8", "replace"))) if endpoint in _OAUTH_ENDPOINTS else {},
            received_at_ms=int(time.time() * 1000),
            received_at=time.monotonic(),
            key=key if isinstance(key, str) else request.headers.get("x-request-id", ""),
            request_id=uuid.uuid4().hex,
        )

    async def _answer(
        self, request: web.Request, record: ReceivedRequest, body: JsonValue
    ) -> web.StreamResponse:
        if record.endpoint == "chat":
            return await self._answer_chat(request, record, body)
        if record.endpoint in _OAUTH_ENDPOINTS:
            return await self._answer_oauth(request, record)
        return await self._send_json(
            request, record, 404, {"error": {"message": "Not found", "code": "not_found"}}
        )

    # chat completions

    async def _answer_chat(
        self, request: web.Request, record: ReceivedRequest, body: JsonValue
    ) -> web.StreamResponse:
        caller = self._authenticate(record)
        if caller is None:
            wrong_key = "incorrect_api_key" if record.bearer.startswith("sk-") else "invalid_api_key"
            return await self._send_fault(request, record, Fault.from_json(wrong_key))
        record.credential = caller.name
        if not isinstance(body, dict):
            return await self._send_fault(request, record, Fault.from_json("bad_request"))
        if violation := self._violation(body, caller, record.headers):
            return await self._send_fault(request, record, _fault_of_violation(violation))
        try:
            fault = self._chat_fault(body, caller, record)
        except SimulationError as error:
            misuse: JsonObject = {"error": {"message": f"simulate: {error}", "code": "simulator_misuse"}}
            return await self._send_json(request, record, _MISUSE_STATUS, misuse)
        record.fault = _label(fault)
        await pause(fault.delay_before_headers_ms)
        if fault.abort_before_headers:
            return await self._break_off(request, record, reset=fault.reset)
        if fault.replaces_answer:
            return await self._send_fault(request, record, fault)
        completion = Completion(body, fault, record.request_id)
        if body.get("stream") is True and not fault.json_instead_of_sse:
            return await self._send_stream(request, record, completion)
        return await self._send_document(request, record, 200, _JSON, completion.json_document(), fault)

    def _authenticate(self, record: ReceivedRequest) -> Caller | None:
        token = record.bearer
        if token in self.config.api_keys:
            return Caller(token)
        if login := self.oauth.login_of_access_token(token):
            return Caller(login.name, login)
        return Caller(token or "anonymous") if self.config.accept_any_credentials else None

    def _violation(self, body: JsonObject, caller: Caller, headers: Mapping[str, str]) -> Violation | None:
        if violation := general_violation(body):
            return violation
        rules = self.config.portal_rules
        if rules == "always" or (rules == "oauth" and caller.login is not None):
            return portal_violation(
                body, headers, require_dashscope_headers=self.config.require_dashscope_headers
            )
        return alias_violation(body) if caller.login is None else None

    def _chat_fault(self, body: JsonObject, caller: Caller, record: ReceivedRequest) -> Fault:
        attempt = self.recorder.accept(record.key)
        names = {caller.name, record.bearer}
        if "simulate" in body:
            simulation = Simulation.from_json(body["simulate"])
            if simulation.only_for and names.isdisjoint(simulation.only_for):
                return HEALTHY
            return simulation.fault_of_attempt(attempt)
        return self.faults.take("chat", record.path, names, record.key) or HEALTHY

    async def _send_stream(
        self, request: web.Request, record: ReceivedRequest, completion: Completion
    ) -> web.StreamResponse:
        fault = completion.fault
        headers = {"Content-Type": fault.content_type or _EVENT_STREAM, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers={**headers, **_id_headers(record), **fault.headers})
        record.status = response.status
        await response.prepare(request)
        writer = BodyWriter(
            response, record, split_bytes=fault.split_bytes, write_delay_ms=fault.write_delay_ms
        )
        if fault.prelude:
            await writer.write(fault.prelude.encode())
            await writer.flush()
        await pause(fault.delay_before_first_chunk_ms)
        await self._send_events(writer, record, completion)
        if fault.abort_after is not None:
            return await self._break_off(request, record, reset=fault.reset)
        await response.write_eof()
        return response

    async def _send_events(self, writer: BodyWriter, record: ReceivedRequest, completion: Completion) -> None:
        """Write the events at their pace, until the end or the fault's place to break off."""
        fault = completion.fault
        now = asyncio.get_running_loop().time
        delay = self._chunk_delay_seconds(fault)
        due = now()
        stall_after = fault.stall_after
        for event in completion.stream_events():
            if record.events_sent == stall_after:
                await writer.flush()
                await _stall(fault)
                stall_after, due = None, now()
            if record.events_sent == fault.abort_after:
                break
            if delay and record.events_sent:
                await writer.flush()
                due += delay
                await asyncio.sleep(due - now())
            elif record.events_sent % _EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
            await writer.write(event)
            record.events_sent += 1
        await writer.flush()
        if stall_after is not None:
            await _stall(fault)

    def _chunk_delay_seconds(self, fault: Fault) -> float:
        if fault.chunk_delay_ms is not None:
            return fault.chunk_delay_ms / 1000
        return 0.0 if fault.burst is not None else self.config.chunk_delay_ms / 1000

    # OAuth

    async def _answer_oauth(self, request: web.Request, record: ReceivedRequest) -> web.StreamResponse:
        form = record.form
        login = self.oauth.login_of_refresh_token(form.get("refresh_token", ""))
        record.credential = login.name if login else None
        names = {form.get("refresh_token", ""), login.name if login else ""}
        fault = self.faults.take(record.endpoint, record.path, names, record.key) or HEALTHY
        record.fault = _label(fault)
        if fault.spend_refresh_token:
            self.oauth.token(form)
        await pause(fault.delay_before_headers_ms)
        if fault.abort_before_headers:
            return await self._break_off(request, record, reset=fault.reset)
        if fault.replaces_answer:
            return await self._send_fault(request, record, fault)
        if self.config.require_user_agent and not record.headers.get("User-Agent"):
            return await self._send_fault(request, record, Fault.from_json("captcha_200"))
        answer = self._oauth_answer(request, record)
        await pause(self.config.token_answer_delay_ms)
        kept = {name: value for name, value in answer.body.items() if name not in fault.omit}
        return await self._send_json(request, record, answer.status, {**kept, **fault.extra})

    def _oauth_answer(self, request: web.Request, record: ReceivedRequest) -> OAuthAnswer:
        if request.method != "POST" or request.content_type != _FORM:
            text = "A form-encoded POST is required"
            return OAuthAnswer(400, {"error": "invalid_request", "error_description": text})
        answer = self.oauth.token if record.endpoint == "token" else self.oauth.device_code
        return answer(record.form)

    # answers

    async def _send_fault(
        self, request: web.Request, record: ReceivedRequest, fault: Fault
    ) -> web.StreamResponse:
        status = fault.status or 200
        body = fault.body
        if body is None:
            message = f"Simulated status {status}."
            body = {"error": {"message": message, "type": "simulated", "param": None, "code": None}}
        if isinstance(body, str):
            document, content_type = body.encode("utf-8", "replace"), "text/plain; charset=utf-8"
        else:
            document, content_type = _error_document(body, record.request_id, fault.reset_in_seconds), _JSON
        return await self._send_document(
            request, record, status, fault.content_type or content_type, document, fault
        )

    async def _send_json(
        self, request: web.Request, record: ReceivedRequest, status: int, body: JsonObject
    ) -> web.StreamResponse:
        return await self._send_document(
            request, record, status, _JSON, compact(body).encode("utf-8", "replace"), HEALTHY
        )

    async def _send_document(
        self,
        request: web.Request,
        record: ReceivedRequest,
        status: int,
        content_type: str,
        document: bytes,
        fault: Fault,
    ) -> web.StreamResponse:
        headers = {"Content-Type": content_type, **_id_headers(record), **fault.headers}
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(document)
        record.status = status
        await response.prepare(request)
        writer = BodyWriter(
            response, record, split_bytes=fault.split_bytes, write_delay_ms=fault.write_delay_ms
        )
        cut = fault.abort_after if fault.abort_after is not None else fault.stall_after
        await writer.write(document if cut is None else document[:cut])
        await writer.flush()
        if fault.abort_after is not None:
            return await self._break_off(request, record, reset=fault.reset)
        if fault.stall_after is not None:
            await _stall(fault)
        await response.write_eof()
        return response

    async def _break_off(
        self, request: web.Request, record: ReceivedRequest, *, reset: bool
    ) -> web.StreamResponse:
        self.recorder.end(record, "broken_off")
        await break_off(request, reset=reset)
        raise AssertionError("a broken connection ends its handler")


def _endpoint(request: web.Request) -> Endpoint:
    path = request.path
    if path.endswith("/chat/completions") and request.method == "POST":
        return "chat"
    if path.endswith("/api/v1/oauth2/token"):
        return "token"
    if path.endswith("/api/v1/oauth2/device/code"):
        return "device_code"
    return "other"


def _parsed_json(raw_body: bytes) -> JsonValue:
    try:
        document: JsonValue = json.loads(raw_body)
    except (ValueError, RecursionError):
        return None
    return document


async def _stall(fault: Fault) -> None:
    if fault.stall_ms is None:
        await forever()
    else:
        await pause(fault.stall_ms)


def _id_headers(record: ReceivedRequest) -> dict[str, str]:
    return {"x-request-id": record.request_id, "request_id": record.request_id}


def _label(fault: Fault) -> str | None:
    return None if fault == HEALTHY else fault.name or "custom"


def _fault_of_violation(violation: Violation) -> Fault:
    fault = dict(NAMED_FAULTS[violation.fault])
    if violation.message is not None:
        body = as_object(fault["body"])
        fault["body"] = {**body, "error": {**as_object(body["error"]), "message": violation.message}}
    return Fault.from_json(fault)


def _error_document(body: JsonValue, request_id: str, reset_in_seconds: float) -> bytes:
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and "request_id" not in body:
        body = {**body, "request_id": request_id}
    reset_at = time.strftime("%m-%d %H:%M:%S", time.gmtime(time.time() + reset_in_seconds))
    return compact(body).replace("{reset_at}", reset_at).encode("utf-8", "replace")
