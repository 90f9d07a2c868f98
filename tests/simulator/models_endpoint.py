"""The list of models of a host, for API keys."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonValue
from tests.simulator.sending import begin_answer


@dataclass(frozen=True, slots=True)
class ModelsEndpoint:
    """`GET .../models`."""

    config: SimulatorConfig
    faults: FaultQueue

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer with the models of the configuration, or with a fault that is queued for `models`."""
        record = exchange.record
        if record.bearer not in self.config.api_keys:
            return await exchange.send_fault(Fault.model_validate("incorrect_api_key"))
        record.credential = record.bearer
        fault = self.faults.take("models", {record.bearer})
        if fault is not None:
            await begin_answer(exchange, fault)
            if fault.replaces_answer:
                return await exchange.send_fault(fault)
        data: list[JsonValue] = [
            {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "system"}
            for name in self.config.models
        ]
        return await exchange.send_json(200, {"object": "list", "data": data})
