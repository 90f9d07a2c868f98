"""Translated relaying: a translator makes of what Qwen sends what the client reads."""

import asyncio
from typing import TYPE_CHECKING

from qwen_worker.dialect import Completion, Translator
from qwen_worker.errors import ProxyError
from qwen_worker.platform.ports import BodyReader, Clock, Pipe, StreamBroken
from qwen_worker.streams.native import broken_stream
from qwen_worker.streams.outcome import StreamOutcome
from qwen_worker.streams.writing import write_last

if TYPE_CHECKING:
    from qwen_worker.upstream.connection import Connection


async def relay_translated(
    pipe: Pipe,
    reader: BodyReader,
    head: bytes,
    translator: Translator,
    connection: "Connection",
    *,
    idle_seconds: float,
    clock: Clock,
) -> StreamOutcome:
    """Translates `head`, then all that is left to read, and ends the stream; the pipe stays open.

    Raises StreamBroken if the client is gone.
    """
    pipe.stop_observing()
    watching = asyncio.ensure_future(_watch(connection, idle_seconds, clock))
    failure: ProxyError | None = None
    size_bytes = 0
    piece: bytes | None = head
    try:
        while piece is not None:
            connection.heard()
            events = translator.feed(piece)
            if events:
                size_bytes += len(events)
                await pipe.write(events)
            if translator.is_over:
                break
            piece = await reader.read()
    except StreamBroken:
        failure = connection.timed_out or broken_stream()
    watching.cancel()
    ending = translator.end(failure)
    await write_last(pipe, ending)
    connection.cancel()
    completion = Completion(translator.error, translator.finish_reason, translator.usage)
    return StreamOutcome(completion, size_bytes + len(ending))


async def _watch(connection: "Connection", idle_seconds: float, clock: Clock) -> None:
    while not connection.is_silent(idle_seconds):
        await clock.sleep(idle_seconds / 4)
    connection.give_up(idle_seconds)
