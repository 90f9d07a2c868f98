"""Reads the beginning of a stream, before the client is told 200.

Qwen and gateways in front of it hide errors in streams of status 200. If an error comes first, the client
gets its real status, and the request may be tried again.
"""

from typing import TYPE_CHECKING, NamedTuple

from qwen_worker.dialect import Dialect, Relaying
from qwen_worker.errors import ProxyError, UpstreamBlocked, UpstreamUnavailable
from qwen_worker.platform.ports import BodyReader, InboundResponse, StreamBroken

if TYPE_CHECKING:
    from qwen_worker.upstream.connection import Connection
    from qwen_worker.upstream.error_reader import ErrorReader

LONGEST_FIRST_EVENT_BYTES = 8_000_000
"""How much is read in search of the end of a first event: more than any host sends at once."""

LONGEST_PREAMBLE_BYTES = 262_144
"""How many bytes of comments and blank lines may come before a first event."""


class StreamStart(NamedTuple):
    """A stream that begins well."""

    reader: BodyReader
    """Gives what has not been read of it."""
    head: bytes
    """What has been read of it."""
    relaying: Relaying


async def read_first_event(
    answer: InboundResponse, dialect: Dialect, connection: "Connection", errors: "ErrorReader"
) -> StreamStart:
    """Reads a stream up to its first event. Raises ProxyError, with the connection closed, if no healthy
    stream begins like this.
    """
    try:
        return await _read(answer, dialect, connection, errors)
    except ProxyError:
        connection.closed()
        raise


async def _read(
    answer: InboundResponse, dialect: Dialect, connection: "Connection", errors: "ErrorReader"
) -> StreamStart:
    reader = answer.reader()
    head = await _next_piece(reader, connection)
    if head is not None and dialect.is_healthy_start(head):
        return StreamStart(reader, head, "native")
    from qwen_worker.sse import EventParser

    parser = EventParser()
    pieces: list[bytes] = []
    size_bytes = 0
    piece = head
    while True:
        pieces.append(piece or b"")
        size_bytes += len(pieces[-1])
        events = parser.feed(b"\n\n" if piece is None else piece)
        head = b"".join(pieces) if events else b""
        for event in events:
            relaying = dialect.classify_first_event(event, head, errors.in_event)
            if relaying is not None:
                return StreamStart(reader, head, relaying)
        if piece is None:
            raise errors.of_response(200, answer.header, b"".join(pieces).decode("utf-8", "replace"))
        if size_bytes > (LONGEST_FIRST_EVENT_BYTES if parser.has_data else LONGEST_PREAMBLE_BYTES):
            raise UpstreamBlocked(
                "Qwen's stream began with more than a chat completion chunk can be.", upstream_status=200
            )
        piece = await _next_piece(reader, connection)


async def _next_piece(reader: BodyReader, connection: "Connection") -> bytes | None:
    """The next bytes; None at the end. Raises ProxyError."""
    try:
        piece = await reader.read()
    except StreamBroken:
        raise connection.timed_out or UpstreamUnavailable(
            "The connection to Qwen broke before its answer began."
        ) from None
    connection.heard()
    return piece
