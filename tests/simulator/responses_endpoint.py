"""The Responses endpoint of a host: checks of credential and body, choice of the fault, answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tests.simulator.choosing import authenticate, choose_fault
from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text
from tests.simulator.messages import flat_error, flattened
from tests.simulator.oauth import OAuthState
from tests.simulator.responses import NativeResponse
from tests.simulator.sending import begin_answer, send_answer

_HIDDEN: Final = range(400, 500)
"""Errors with such a status are in streams of status 200."""


@dataclass(frozen=True, slots=True)
class ResponsesEndpoint:
    """`POST .../responses`."""

    config: SimulatorConfig
    oauth: OAuthState
    faults: FaultQueue

    async def answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        """Answer a request whose parsed body is `body` (None if it is not JSON)."""
        record = exchange.record
        caller = authenticate(record.bearer, self.config, self.oauth)
        if caller is None:
            wrong = flat_error("InvalidApiKey", "Invalid API-key provided.", record.request_id)
            return await exchange.send_json(401, wrong)
        record.credential = caller.name
        refusal = _violation(body)
        if refusal is not None or not isinstance(body, dict):
            return await self._refuse(exchange, body, 400, "InvalidParameter", refusal or "")
        fault = choose_fault(body, caller, exchange, self.faults)
        await begin_answer(exchange, fault)
        if fault.replaces_answer:
            flat = flattened(fault, record.request_id)
            error = as_object(flat.body)
            if body.get("stream") is True and fault.status in _HIDDEN and "code" in error:
                code, message = as_text(error["code"]), as_text(error["message"])
                return await self._refuse(exchange, body, fault.status or 400, code, message)
            return await exchange.send_fault(flat)
        response = NativeResponse(body, fault, record.request_id)
        return await send_answer(exchange, response, self.config, wants_stream=body.get("stream") is True)

    async def _refuse(
        self, exchange: Exchange, body: JsonValue, status: int, code: str, message: str
    ) -> web.StreamResponse:
        """Answer with an error: in a stream, with status 200, if one was asked for."""
        request_id = exchange.record.request_id
        if as_object(body).get("stream") is not True:
            return await exchange.send_json(status, flat_error(code, message, request_id))
        answer = NativeResponse(as_object(body), Fault(), request_id)
        failed = answer.failed_event(1, status, code, message).decode()
        answer = NativeResponse(as_object(body), Fault(raw=(failed,)), request_id)
        return await send_answer(exchange, answer, self.config, wants_stream=True)


def _violation(body: JsonValue) -> str | None:
    """What these hosts refuse."""
    if not isinstance(body, dict):
        return "The request body is not valid JSON."
    if not body.get("input"):
        return "input is required"
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and limit < 16:
        return "max_output_tokens must be at least 16"
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    if any(isinstance(tool.get("function"), dict) for tool in tools):
        return "tools: only flat function tools are supported"
    items: list[JsonObject] = [as_object(item) for item in as_list(body.get("input"))]
    if any(item.get("type") == "item_reference" for item in items):
        return "input: unknown type item_reference"
    return None
