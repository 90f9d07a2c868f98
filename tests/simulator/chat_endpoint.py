"""The chat completions endpoint: checks of credential and body, choice of the fault, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from tests.simulator.completions import Completion
from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange, stall
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import HEALTHY, Fault, Simulation
from tests.simulator.json_types import JsonObject, JsonValue, as_object
from tests.simulator.named_faults import NAMED_FAULTS
from tests.simulator.oauth import Login, OAuthState
from tests.simulator.portal_rules import Violation, alias_violation, general_violation, portal_violation
from tests.simulator.recording import ReceivedRequest
from tests.simulator.wire import BodyWriter, pause

_EVENTS_PER_TURN: Final = 64
_EVENT_STREAM: Final = "text/event-stream;charset=UTF-8"
_MISUSE_STATUS: Final = 418


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credential a request bears: `name` is the login's (OAuth) or the API key."""

    name: str
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """`POST .../chat/completions`."""

    config: SimulatorConfig
    oauth: OAuthState
    faults: FaultQueue

    async def answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        """Answer a request whose parsed body is `body` (None if it is not JSON)."""
        record = exchange.record
        caller = self._authenticate(record)
        if caller is None:
            wrong_key = "incorrect_api_key" if record.bearer.startswith("sk-") else "invalid_api_key"
            return await exchange.send_fault(Fault.model_validate(wrong_key))
        record.credential = caller.name
        if not isinstance(body, dict):
            return await exchange.send_fault(Fault.model_validate("bad_request"))
        if violation := self._violation(body, caller, record.headers):
            return await exchange.send_fault(_fault_of_violation(violation))
        try:
            fault = self._choose_fault(body, caller, exchange)
        except ValidationError as error:
            misuse: JsonObject = {"message": f"simulate: {error}", "code": "simulator_misuse"}
            return await exchange.send_json(_MISUSE_STATUS, {"error": misuse})
        record.fault = fault.label
        return await self._answer_with(fault, exchange, body)

    def _authenticate(self, record: ReceivedRequest) -> Caller | None:
        token = record.bearer
        if token in self.config.api_keys:
            return Caller(token)
        if login := self.oauth.login_of_access_token(token):
            return Caller(login.name, login)
        return None

    def _violation(self, body: JsonObject, caller: Caller, headers: Mapping[str, str]) -> Violation | None:
        if violation := general_violation(body):
            return violation
        return alias_violation(body) if caller.login is None else portal_violation(body, headers)

    def _choose_fault(self, body: JsonObject, caller: Caller, exchange: Exchange) -> Fault:
        record = exchange.record
        attempt = exchange.recorder.accept(record.key)
        names = {caller.name, record.bearer}
        if "simulate" in body:
            simulation = Simulation.model_validate(body["simulate"])
            if simulation.only_for and names.isdisjoint(simulation.only_for):
                return HEALTHY
            return simulation.fault_of_attempt(attempt)
        return self.faults.take("chat", names) or HEALTHY

    async def _answer_with(self, fault: Fault, exchange: Exchange, body: JsonObject) -> web.StreamResponse:
        await pause(fault.delay_before_headers_ms)
        if fault.abort_before_headers:
            await exchange.break_off(reset=fault.reset)
        if fault.replaces_answer:
            return await exchange.send_fault(fault)
        completion = Completion(body, fault, exchange.record.request_id)
        if body.get("stream") is True and not fault.json_instead_of_sse:
            return await self._send_stream(exchange, completion)
        document = completion.json_document()
        return await exchange.send_document(200, fault.content_type or "application/json", document, fault)

    async def _send_stream(self, exchange: Exchange, completion: Completion) -> web.StreamResponse:
        fault = completion.fault
        headers = {"Content-Type": fault.content_type or _EVENT_STREAM, "Cache-Control": "no-cache"}
        encoding = exchange.encoding(fault)
        response = exchange.response(200, {**headers, **encoding, **fault.headers})
        await response.prepare(exchange.request)
        writer = exchange.writer(response, fault, is_compressed=bool(encoding) and fault.gzip != "broken")
        if fault.prelude:
            await writer.write(fault.prelude.encode())
            await writer.flush()
        await pause(fault.delay_before_first_chunk_ms)
        await self._send_events(writer, exchange.record, completion)
        if fault.abort_after is not None:
            await exchange.break_off(reset=fault.reset)
        await writer.end()
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
                await stall(fault)
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
            await stall(fault)

    def _chunk_delay_seconds(self, fault: Fault) -> float:
        if fault.chunk_delay_ms is not None:
            return fault.chunk_delay_ms / 1000
        return 0.0 if fault.burst is not None else self.config.chunk_delay_ms / 1000


def _fault_of_violation(violation: Violation) -> Fault:
    fault = dict(NAMED_FAULTS[violation.fault])
    if violation.message is not None:
        body = as_object(fault["body"])
        fault["body"] = {**body, "error": {**as_object(body["error"]), "message": violation.message}}
    return Fault.model_validate(fault)
