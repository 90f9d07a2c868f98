"""Sends an answer as its fault wants it paced, cut and broken off, in whichever API's words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

from aiohttp import web

from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange, stall
from tests.simulator.faults import Fault
from tests.simulator.recording import ReceivedRequest
from tests.simulator.wire import BodyWriter, pause

_EVENTS_PER_TURN: Final = 64
_EVENT_STREAM: Final = "text/event-stream;charset=UTF-8"


class Answer(Protocol):
    """An answer of some API, with the fault that shapes it."""

    @property
    def fault(self) -> Fault:
        """What is unlike a healthy answer."""
        ...

    def json_document(self) -> bytes:
        """The answer to a request without a stream."""
        ...

    def stream_events(self) -> Iterator[bytes]:
        """The events of a stream, one item an event; endless if the fault says so."""
        ...


async def send_answer(
    exchange: Exchange, answer: Answer, config: SimulatorConfig, *, wants_stream: bool
) -> web.StreamResponse:
    """Send an answer whose fault does not replace it."""
    fault = answer.fault
    if wants_stream and not fault.json_instead_of_sse:
        return await _send_stream(exchange, answer, config)
    document = answer.json_document()
    return await exchange.send_document(200, fault.content_type or "application/json", document, fault)


async def begin_answer(exchange: Exchange, fault: Fault) -> None:
    """Record the fault and do what it wants before the headers; may end the caller with the connection."""
    exchange.record.fault = fault.label
    await pause(fault.delay_before_headers_ms)
    if fault.abort_before_headers:
        await exchange.break_off(reset=fault.reset)


async def _send_stream(exchange: Exchange, answer: Answer, config: SimulatorConfig) -> web.StreamResponse:
    fault = answer.fault
    headers = {"Content-Type": fault.content_type or _EVENT_STREAM, "Cache-Control": "no-cache"}
    encoding = exchange.encoding(fault)
    response = exchange.response(200, {**headers, **encoding, **fault.headers})
    await response.prepare(exchange.request)
    writer = exchange.writer(response, fault, is_compressed=bool(encoding) and fault.gzip != "broken")
    if fault.prelude:
        await writer.write(fault.prelude.encode())
        await writer.flush()
    await pause(fault.delay_before_first_chunk_ms)
    await _send_events(writer, exchange.record, answer, _chunk_delay_seconds(fault, config))
    if fault.abort_after is not None:
        await exchange.break_off(reset=fault.reset)
    await writer.end()
    await response.write_eof()
    return response


async def _send_events(writer: BodyWriter, record: ReceivedRequest, answer: Answer, delay: float) -> None:
    """Write the events at their pace, until the end or the fault's place to break off."""
    fault = answer.fault
    now = asyncio.get_running_loop().time
    due = now()
    stall_after = fault.stall_after
    for event in answer.stream_events():
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


def _chunk_delay_seconds(fault: Fault, config: SimulatorConfig) -> float:
    if fault.chunk_delay_ms is not None:
        return fault.chunk_delay_ms / 1000
    return 0.0 if fault.burst is not None else config.chunk_delay_ms / 1000
