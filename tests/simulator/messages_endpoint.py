"""The Messages endpoints of a host: checks of credential and body, choice of the fault, answer."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from tests.simulator.choosing import authenticate, choose_fault
from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.json_types import JsonValue
from tests.simulator.messages import Message, counted_tokens, flat_error, flattened
from tests.simulator.messages_rules import messages_violation
from tests.simulator.oauth import OAuthState
from tests.simulator.sending import begin_answer, send_answer


@dataclass(frozen=True, slots=True)
class MessagesEndpoint:
    """`POST .../messages` and `POST .../messages/count_tokens`. Takes `x-api-key` and Bearer."""

    config: SimulatorConfig
    oauth: OAuthState
    faults: FaultQueue

    async def answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        """Answer a request whose parsed body is `body` (None if it is not JSON)."""
        record = exchange.record
        is_count = record.endpoint == "count_tokens"
        key = record.headers.get("x-api-key") or record.bearer
        caller = authenticate(key, self.config, self.oauth)
        if caller is None:
            wrong: dict[str, JsonValue] = {"message": "invalid api-key", "type": "authentication_error"}
            return await exchange.send_json(403, wrong)
        record.credential = caller.name
        refusal = (
            messages_violation(body, is_count=is_count)
            if isinstance(body, dict)
            else "The request body is not valid JSON."
        )
        if refusal is not None or not isinstance(body, dict):
            error = flat_error("InvalidParameter", refusal or "", record.request_id)
            return await exchange.send_json(400, error)
        fault = choose_fault(body, caller, exchange, self.faults)
        await begin_answer(exchange, fault)
        if fault.replaces_answer:
            return await exchange.send_fault(flattened(fault, record.request_id))
        if is_count:
            return await exchange.send_json(200, {"input_tokens": counted_tokens(body)})
        message = Message(body, fault, record.request_id)
        return await send_answer(exchange, message, self.config, wants_stream=body.get("stream") is True)
