"""Translated relaying: a translator turns what Qwen sends into what the client reads."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from qwen_worker.dialect import Completion, Translator
from qwen_worker.platform.ports import BodyReader, Clock, Pipe
from qwen_worker.stream_tail import StreamTail
from qwen_worker.streams.native import watched
from qwen_worker.streams.outcome import StreamOutcome

if TYPE_CHECKING:
    from qwen_worker.upstream.connection import Connection


def relay_translated(
    pipe: Pipe,
    reader: BodyReader,
    head: bytes,
    translator: Translator,
    connection: "Connection",
    *,
    idle_seconds: float,
    clock: Clock,
) -> Coroutine[Any, Any, StreamOutcome]:
    """Sends the translation of `head`; to be awaited: translates all that is left to read, and ends the
    stream; the pipe stays open.

    Raises StreamBroken if the client is gone.
    """
    tail = StreamTail()

    def feed(data: bytes) -> bytes:
        out = translator.feed(data)
        tail.feed(out)
        return out

    relayed = pipe.translate(reader, head, feed, lambda: translator.is_over)

    async def to_the_end() -> StreamOutcome:
        failure = await watched(pipe, relayed, connection, idle_seconds=idle_seconds, clock=clock)
        connection.cancel()  # nothing more of it is wanted
        ending = translator.end(failure)
        if ending:
            await pipe.write(ending)
        completion = Completion(translator.error, translator.finish_reason, translator.usage)
        tail.feed(ending)
        return StreamOutcome(completion, tail.size_bytes, tail.kept)

    return to_the_end()
