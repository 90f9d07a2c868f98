"""Native relaying: the runtime moves the bytes, and Python looks at them from time to time.

It looks to notice a stream that stalls, and to know how it ended. A stream that did not end as clients expect
it gets an end.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from qwen_worker.dialect import Dialect
from qwen_worker.errors import ProxyError, StreamFailed
from qwen_worker.platform.ports import Clock, Pipe, StreamBroken
from qwen_worker.stream_tail import StreamTail
from qwen_worker.streams.outcome import StreamOutcome
from qwen_worker.streams.timers import IdleWatchdog

if TYPE_CHECKING:
    from qwen_worker.upstream.connection import Connection
    from qwen_worker.upstream.error_reader import ErrorReader


async def follow_native(
    pipe: Pipe,
    relayed: Awaitable[None],
    tail: StreamTail,
    dialect: Dialect,
    connection: "Connection",
    errors: "ErrorReader",
    *,
    idle_seconds: float,
    clock: Clock,
) -> StreamOutcome:
    """Watches native relaying that has begun (`relayed`; `tail` gets the bytes) and ends the stream. The pipe
    stays open.

    Raises StreamBroken if the client is gone.
    """
    failure = await watched(pipe, relayed, connection, idle_seconds=idle_seconds, clock=clock)
    closing, completion = dialect.end_of_stream(tail, failure, errors.in_event)
    if closing:
        await pipe.write(closing)
    return StreamOutcome(completion, tail.size_bytes, tail.kept)


async def watched(
    pipe: Pipe, relayed: Awaitable[None], connection: "Connection", *, idle_seconds: float, clock: Clock
) -> ProxyError | None:
    """Waits until relaying has ended or Qwen has been silent for too long. Returns what ended it; None if
    Qwen did.
    """
    watchdog = IdleWatchdog(pipe, idle_seconds, clock, lambda: connection.give_up(idle_seconds))
    try:
        await relayed
    except StreamBroken:
        return connection.timed_out or StreamFailed(
            "The connection to Qwen broke in the middle of the stream."
        )
    finally:
        watchdog.stop()
    return None
