"""The legacy completions of DashScope's Beijing host; no other host has them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.faults import HEALTHY, Fault
from tests.simulator.json_types import JsonObject, JsonValue, as_object, compact

BEIJING: Final = "/beijing"
"""What the path begins with where the simulator plays that host."""
MODEL: Final = "qwen-coder-turbo"


@dataclass(frozen=True, slots=True)
class LegacyEndpoint:
    """`POST .../completions`, for API keys. `simulate.text` says what it answers."""

    config: SimulatorConfig

    async def answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        """Answer a request whose parsed body is `body` (None if it is not JSON)."""
        record = exchange.record
        if not record.path.startswith(BEIJING):
            return await exchange.send_json(404, {"error": {"message": "Not found", "code": "not_found"}})
        if record.bearer not in self.config.api_keys:
            return await exchange.send_fault(Fault.model_validate("incorrect_api_key"))
        record.credential = record.bearer
        if not isinstance(body, dict) or not isinstance(body.get("prompt"), str) or "suffix" in body:
            return await exchange.send_fault(Fault.model_validate("bad_request"))
        if body.get("model") != MODEL:
            return await exchange.send_fault(Fault.model_validate("model_not_found"))
        words = Fault.model_validate({"text": as_object(body.get("simulate")).get("text", ["one", " two"])})
        chunks = [*_chunks(list(words.text or ()), record.request_id)]
        if body.get("stream") is not True:
            text = "".join(words.text or ())
            return await exchange.send_json(200, _completion(text, "stop", record.request_id))
        stream = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"])
        return await exchange.send_document(200, "text/event-stream", stream.encode(), HEALTHY)


def _chunks(words: list[str], request_id: str) -> Iterator[str]:
    for word in words:
        yield compact(_completion(word, None, request_id))
    yield compact(_completion("", "stop", request_id))


def _completion(text: str, finish_reason: str | None, request_id: str) -> JsonObject:
    choice: JsonObject = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": f"cmpl-{request_id}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2} if finish_reason else None,
    }
