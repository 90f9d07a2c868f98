"""Writes bytes to a connection as a fault wants them cut, and breaks the connection."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
import zlib

from aiohttp import web

from tests.simulator.recording import ReceivedRequest

_LINGER_RESET = struct.pack("ii", 1, 0)


async def forever() -> None:
    """Wait until cancelled: by the client's disconnect, or by the simulator's end."""
    await asyncio.Event().wait()


async def pause(milliseconds: float) -> None:
    """Sleep; returns at once for 0."""
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)


class BodyWriter:
    """Writes a response's body, each write one HTTP chunk.

    With `split_bytes`, every write has exactly that many bytes whatever the events' borders; the rest is
    written by `flush`. `write_delay_ms` separates the writes, so that they arrive apart. With `is_compressed`
    each write is a piece of one gzip body, which `end` ends.
    """

    def __init__(
        self,
        response: web.StreamResponse,
        record: ReceivedRequest,
        *,
        split_bytes: int | None = None,
        write_delay_ms: float = 0.0,
        is_compressed: bool = False,
    ) -> None:
        self._response = response
        self._record = record
        self._split_bytes = split_bytes
        self._write_delay_ms = write_delay_ms
        self._held = b""
        self._gzip = zlib.compressobj(wbits=31) if is_compressed else None

    async def write(self, data: bytes) -> None:
        """Write `data`, or as much of it as makes full writes."""
        if not self._split_bytes:
            await self._send(data)
            return
        self._held += data
        while len(self._held) >= self._split_bytes:
            piece, self._held = self._held[: self._split_bytes], self._held[self._split_bytes :]
            await self._send(piece)

    async def flush(self) -> None:
        """Write what `write` still holds."""
        if self._held:
            piece, self._held = self._held, b""
            await self._send(piece)

    async def end(self) -> None:
        """Write what ends a compressed body."""
        if self._gzip is not None:
            await self._response.write(self._gzip.flush())

    async def _send(self, data: bytes) -> None:
        if self._record.first_byte_at is None:
            self._record.first_byte_at = time.monotonic()
        if self._gzip is not None:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        await self._response.write(data)
        if self._split_bytes:
            await asyncio.sleep(self._write_delay_ms / 1000)


async def break_off(request: web.Request, *, reset: bool) -> None:
    """Close the connection after the bytes written so far; with `reset`, by a TCP reset instead of a FIN.

    Returns only by cancellation, which follows from the closed connection.
    """
    transport = request.transport
    if transport is not None and not reset:
        transport.close()
    elif isinstance(transport, asyncio.WriteTransport):
        while transport.get_write_buffer_size():  # noqa: ASYNC110 - no event tells of an empty buffer
            await asyncio.sleep(0.001)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.abort()
    await forever()
