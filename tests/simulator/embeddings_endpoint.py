"""The embeddings endpoint of DashScope, with its limits: 10 texts a request, no tokens, floats only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zlib import crc32

from aiohttp import web

from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_text
from tests.simulator.named_faults import ALGORITHM_PREFIX
from tests.simulator.sending import begin_answer

MOST_TEXTS: Final = 10
DIMENSIONS: Final = (2048, 1536, 1024, 768, 512, 256, 128, 64)
MODELS: Final = ("text-embedding-v3", "text-embedding-v4")


@dataclass(frozen=True, slots=True)
class EmbeddingsEndpoint:
    """`POST .../embeddings`, for API keys."""

    config: SimulatorConfig
    faults: FaultQueue

    async def answer(self, exchange: Exchange, body: JsonValue) -> web.StreamResponse:
        """Answer a request whose parsed body is `body` (None if it is not JSON)."""
        record = exchange.record
        if record.bearer not in self.config.api_keys:
            return await exchange.send_fault(Fault.model_validate("incorrect_api_key"))
        record.credential = record.bearer
        if not isinstance(body, dict):
            return await exchange.send_fault(Fault.model_validate("bad_request"))
        if as_text(body.get("model")) not in MODELS:
            return await exchange.send_fault(Fault.model_validate("model_not_found"))
        if violation := _violation(body):
            error: JsonObject = {
                "message": violation,
                "type": "InvalidParameter",
                "code": "InvalidParameter",
                "param": None,
            }
            return await exchange.send_json(400, {"error": error})
        fault = self.faults.take("embeddings", {record.bearer})
        if fault is not None:
            await begin_answer(exchange, fault)
            if fault.replaces_answer:
                return await exchange.send_fault(fault)
        return await exchange.send_json(200, _embeddings(body, record.request_id))


def vector(text: str, dimensions: int = 1024) -> list[float]:
    """Return the embedding of a text: numbers that float32 holds exactly."""
    seed = crc32(text.encode())
    return [((seed >> (place % 24)) + place) % 256 / 256 - 0.5 for place in range(dimensions)]


def _violation(body: JsonObject) -> str | None:
    texts = body.get("input")
    if not isinstance(texts, str | list):
        return ALGORITHM_PREFIX + "contents is neither str nor list of str.: input.contents"
    if isinstance(texts, list) and not all(isinstance(text, str) for text in texts):
        return ALGORITHM_PREFIX + "contents is neither str nor list of str.: input.contents"
    if isinstance(texts, list) and not 1 <= len(texts) <= MOST_TEXTS:
        return ALGORITHM_PREFIX + (
            f"Value error, batch size is invalid, it should not be larger than {MOST_TEXTS}.: input.contents"
        )
    if body.get("encoding_format", "float") != "float":
        return ALGORITHM_PREFIX + "encoding_format must be float"
    if body.get("dimensions", 1024) not in DIMENSIONS:
        return ALGORITHM_PREFIX + "dimensions is not supported"
    return None


def _embeddings(body: JsonObject, request_id: str) -> JsonObject:
    given = body["input"]
    texts = [given] if isinstance(given, str) else [as_text(text) for text in as_list(given)]
    size = body.get("dimensions", 1024)
    assert isinstance(size, int)
    data: list[JsonValue] = [
        {"embedding": [*vector(text, size)], "index": index, "object": "embedding"}
        for index, text in enumerate(texts)
    ]
    tokens = sum(len(text.split()) for text in texts)
    return {
        "data": data,
        "model": body["model"],
        "object": "list",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "id": request_id,
    }
