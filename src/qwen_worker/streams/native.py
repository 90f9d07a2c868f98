"""Native relaying: the runtime moves the bytes, and Python looks at them from time to time.

It looks to notice a stream that stalls, and to know how it ended. A stream that did not end as clients expect
it gets an end.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from qwen_worker.dialect import Dialect
from qwen_worker.errors import ProxyError, StreamFailed
from qwen_worker.platform.ports import Clock, Pipe, StreamBroken
from qwen_worker.stream_tail import StreamTail
from qwen_worker.streams.outcome import StreamOutcome
from qwen_worker.streams.timers import IdleWatchdog
from qwen_worker.streams.writing import write_last

if TYPE_CHECKING:
    from qwen_worker.upstream.connection import Connection
    from qwen_worker.upstream.error_reader import ErrorReader

REST_SECONDS = 0.5
"""How long to wait, when a stream ends without what ends a whole one, for what has not been looked at yet."""


async def follow_native(
    pipe: Pipe,
    relayed: Awaitable[None],
    dialect: Dialect,
    connection: "Connection",
    errors: "ErrorReader",
    *,
    idle_seconds: float,
    clock: Clock,
) -> StreamOutcome:
    """Watches over native relaying that has begun (`relayed`), and ends the stream; the pipe stays open.

    Raises StreamBroken if the client is gone.
    """
    tail = StreamTail()
    watchdog = IdleWatchdog(pipe, tail, idle_seconds, clock, lambda: connection.give_up(idle_seconds))
    failure: ProxyError | None = None
    try:
        await relayed
    except StreamBroken:
        failure = connection.timed_out or broken_stream()
    watchdog.stop()
    while not dialect.is_done(tail) and (data := await _rest(pipe, tail, clock)):
        tail.feed(data)
    closing, completion = dialect.end_of_stream(tail, failure, errors.in_event)
    if closing:
        await write_last(pipe, closing)
    return StreamOutcome(completion, tail.size_bytes)


def broken_stream() -> StreamFailed:
    """Qwen's connection has ended in the middle."""
    return StreamFailed("The connection to Qwen broke in the middle of the stream.")


async def _rest(pipe: Pipe, tail: StreamTail, clock: Clock) -> bytes:
    """What was relayed and has not been looked at yet; empty if that is all."""
    if tail.size_bytes == 0:
        return await pipe.relayed()  # the first event at least
    rest = asyncio.ensure_future(pipe.relayed())
    if await _done_within(rest, REST_SECONDS, clock):
        return rest.result()
    rest.cancel()
    return b""


async def _done_within(task: asyncio.Task[Any], seconds: float, clock: Clock) -> bool:
    """Waits for a task, at most so long, and leaves it alone; tells whether it is done."""
    done = asyncio.get_running_loop().create_future()

    def wake(*_: object) -> None:
        if not done.done():
            done.set_result(None)

    timer = clock.call_later(seconds, wake)
    task.add_done_callback(wake)
    await done
    timer.cancel()
    task.remove_done_callback(wake)
    return task.done()
