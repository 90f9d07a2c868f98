"""One request and its answer: the ways to answer, and to break off."""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from aiohttp import web

from tests.simulator.faults import HEALTHY, Fault
from tests.simulator.json_types import JsonObject, JsonValue, compact
from tests.simulator.recording import ReceivedRequest, Recorder
from tests.simulator.wire import BodyWriter, break_off, forever, pause

_MISUSE_STATUS: Final = 418
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that is being answered."""

    request: web.Request
    record: ReceivedRequest
    recorder: Recorder

    async def send_json(self, status: int, body: JsonObject) -> web.StreamResponse:
        """Answer with a JSON object."""
        return await self.send_document(status, _JSON, compact(body).encode("utf-8", "replace"))

    async def send_fault(self, fault: Fault) -> web.StreamResponse:
        """Answer with a fault's status (default 200) and body (default: an error that names the status)."""
        status = fault.status or 200
        body = fault.body
        if body is None:
            message = f"Simulated status {status}."
            body = {"error": {"message": message, "type": "simulated", "param": None, "code": None}}
        if isinstance(body, str):
            document, content_type = body.encode("utf-8", "replace"), _TEXT
        else:
            document, content_type = self._error_document(body, fault.reset_in_seconds), _JSON
        return await self.send_document(status, fault.content_type or content_type, document, fault)

    async def send_misuse(self, error: Exception) -> web.StreamResponse:
        """Answer a fault that is not understood: with a status that Qwen never answers."""
        misuse: JsonObject = {"message": f"simulate: {error}", "code": "simulator_misuse"}
        return await self.send_json(_MISUSE_STATUS, {"error": misuse})

    async def send_document(
        self, status: int, content_type: str, document: bytes, fault: Fault = HEALTHY
    ) -> web.StreamResponse:
        """Answer with a document, or with the part of it that comes before the fault's place to break off."""
        encoding = self.encoding(fault)
        response = self.response(status, {"Content-Type": content_type, **encoding, **fault.headers})
        if encoding and fault.gzip != "broken":
            document = gzip.compress(document)
        response.content_length = len(document)
        await response.prepare(self.request)
        writer = self.writer(response, fault)
        cut = fault.abort_after if fault.abort_after is not None else fault.stall_after
        await writer.write(document if cut is None else document[:cut])
        await writer.flush()
        if fault.abort_after is not None:
            await self.break_off(reset=fault.reset)
        if fault.stall_after is not None:
            await stall(fault)
            await writer.write(document[fault.stall_after :])
            await writer.flush()
        await response.write_eof()
        return response

    def response(self, status: int, headers: Mapping[str, str]) -> web.StreamResponse:
        """Begin a response, and record its status."""
        request_id = self.record.request_id
        self.record.status = status
        return web.StreamResponse(
            status=status, headers={"x-request-id": request_id, "request_id": request_id, **headers}
        )

    def encoding(self, fault: Fault) -> dict[str, str]:
        """Return the header that says that the body is compressed, or nothing."""
        accepted = "gzip" in self.request.headers.get("Accept-Encoding", "")
        is_compressed = fault.gzip == "always" or (fault.gzip is not None and accepted)
        return {"Content-Encoding": "gzip"} if is_compressed else {}

    def writer(
        self, response: web.StreamResponse, fault: Fault, *, is_compressed: bool = False
    ) -> BodyWriter:
        """Return what writes the response's body as the fault wants it cut."""
        return BodyWriter(
            response,
            self.record,
            split_bytes=fault.split_bytes,
            write_delay_ms=fault.write_delay_ms,
            is_compressed=is_compressed,
        )

    async def break_off(self, *, reset: bool) -> NoReturn:
        """Cut the connection, which cancels the caller."""
        self.recorder.end(self.record, "broken_off")
        await break_off(self.request, reset=reset)
        raise AssertionError("a broken connection ends its handler")

    def _error_document(self, body: JsonValue, reset_in_seconds: float) -> bytes:
        if isinstance(body, dict) and isinstance(body.get("error"), dict) and "request_id" not in body:
            body = {**body, "request_id": self.record.request_id}
        reset_at = time.strftime("%m-%d %H:%M:%S", time.gmtime(time.time() + reset_in_seconds))
        return compact(body).replace("{reset_at}", reset_at).encode("utf-8", "replace")


async def stall(fault: Fault) -> None:
    """Be silent for `stall_ms`, or until the client goes away."""
    if fault.stall_ms is None:
        await forever()
    else:
        await pause(fault.stall_ms)
