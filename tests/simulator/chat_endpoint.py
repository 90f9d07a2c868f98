"""The chat completions endpoint: checks of credential and body, choice of the fault, answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from tests.simulator.choosing import Caller, authenticate, choose_fault
from tests.simulator.completions import Completion
from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonObject, JsonValue, as_object
from tests.simulator.named_faults import NAMED_FAULTS
from tests.simulator.oauth import OAuthState
from tests.simulator.portal_rules import Violation, alias_violation, general_violation, portal_violation
from tests.simulator.sending import begin_answer, send_answer


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """`POST .../chat/completions`."""

    config: SimulatorConfig
    oauth: OAuthState
    faults: FaultQueue

    async def answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        """Answer a request whose parsed body is `body` (None if it is not JSON)."""
        record = exchange.record
        caller = authenticate(record.bearer, self.config, self.oauth)
        if caller is None:
            wrong_key = "incorrect_api_key" if record.bearer.startswith("sk-") else "invalid_api_key"
            return await exchange.send_fault(Fault.model_validate(wrong_key))
        record.credential = caller.name
        if not isinstance(body, dict):
            return await exchange.send_fault(Fault.model_validate("bad_request"))
        if violation := self._violation(body, caller, record.headers):
            return await exchange.send_fault(_fault_of_violation(violation))
        fault = choose_fault(body, caller, exchange, self.faults)
        return await self._answer_with(fault, exchange, body)

    def _violation(self, body: JsonObject, caller: Caller, headers: Mapping[str, str]) -> Violation | None:
        if violation := general_violation(body):
            return violation
        return alias_violation(body) if caller.login is None else portal_violation(body, headers)

    async def _answer_with(self, fault: Fault, exchange: Exchange, body: JsonObject) -> web.StreamResponse:
        await begin_answer(exchange, fault)
        if fault.replaces_answer:
            return await exchange.send_fault(fault)
        completion = Completion(body, fault, exchange.record.request_id)
        return await send_answer(exchange, completion, self.config, wants_stream=body.get("stream") is True)


def _fault_of_violation(violation: Violation) -> Fault:
    fault = dict(NAMED_FAULTS[violation.fault])
    if violation.message is not None:
        body = as_object(fault["body"])
        fault["body"] = {**body, "error": {**as_object(body["error"]), "message": violation.message}}
    return Fault.model_validate(fault)
