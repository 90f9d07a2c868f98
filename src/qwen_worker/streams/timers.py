"""The timers of a stream: before its first event, and while it is relayed.

Timers and not sleeping tasks: most streams end before the first of them is due, and should not pay for it.
"""

import asyncio
from collections.abc import Callable

from qwen_worker.platform.ports import RELAYED_PIECE_BYTES, Clock, Pipe, StreamBroken
from qwen_worker.stream_tail import StreamTail

FIRST_LOOK_SECONDS = 0.5
LONGEST_LOOK_SECONDS = 8.0
"""What went through is looked at less and less often, since each look costs as much as ten chunks."""

LOOK_BYTES = 1_000_000
"""A fast stream is looked at whenever about so much has gone through: it is held in memory until then."""


class KeepAlive:
    """While there is no first event: keep-alives for the client, and a limit to the silence of Qwen.

    `begin` begins the response with a pipe; it is called before the first keep-alive, and never with
    `keep_alive_seconds` 0. `keep_alive` gives what is sent then. `is_silent` tells whether Qwen has been
    silent for too long, `give_up` makes whoever waits for Qwen fail.
    """

    __slots__ = (
        "_begin",
        "_clock",
        "_comment",
        "_give_up",
        "_has_ended",
        "_is_silent",
        "_keep_alive",
        "_keep_alive_seconds",
        "_open_pipe",
        "_opened",
        "_pause_seconds",
        "_timer",
        "pipe",
    )

    def __init__(
        self,
        begin: Callable[[Pipe], None],
        *,
        keep_alive: Callable[[], bytes],
        open_pipe: Callable[[], Pipe],
        keep_alive_seconds: float,
        idle_seconds: float,
        clock: Clock,
        is_silent: Callable[[], bool],
        give_up: Callable[[], None],
    ) -> None:
        self.pipe: Pipe | None = None
        """What the client is given, once the response has begun."""
        self._begin = begin
        self._keep_alive = keep_alive
        self._open_pipe = open_pipe
        self._keep_alive_seconds = keep_alive_seconds
        self._clock = clock
        self._is_silent = is_silent
        self._give_up = give_up
        self._opened: Pipe | None = None
        self._comment: asyncio.Task[None] | None = None
        self._has_ended = False
        self._pause_seconds = keep_alive_seconds or idle_seconds
        # What is got ready while Qwen is awaited does not hold up the first event.
        self._timer = clock.call_later(0.0, self._get_ready)

    def take_pipe(self) -> Pipe:
        """A pipe for the response: the one that was opened meanwhile, if there was the time."""
        return self._open_pipe() if self._opened is None else self._opened

    def end(self) -> None:
        """The first event, or an error, has come."""
        self._has_ended = True
        self._timer.cancel()

    async def settled(self) -> None:
        """Waits until a comment that is being sent is sent. Raises StreamBroken."""
        if self._comment is not None:
            await self._comment

    def _get_ready(self) -> None:
        self._opened = self._open_pipe()
        self._wait_on()

    def _is_due(self) -> None:
        if self._is_silent():
            self._give_up()
        elif self._keep_alive_seconds:
            if self.pipe is None:
                self.pipe = self.take_pipe()
                self._begin(self.pipe)
            self._comment = asyncio.ensure_future(self._send_comment(self.pipe))
        else:
            self._wait_on()

    async def _send_comment(self, pipe: Pipe) -> None:
        try:
            await pipe.write(self._keep_alive())
        except StreamBroken:
            self._give_up()
            raise
        if not self._has_ended:
            self._wait_on()

    def _wait_on(self) -> None:
        self._timer = self._clock.call_later(self._pause_seconds, self._is_due)


class IdleWatchdog:
    """Looks from time to time at what went through, and calls `give_up` when nothing did for too long."""

    def __init__(
        self, pipe: Pipe, tail: StreamTail, idle_seconds: float, clock: Clock, give_up: Callable[[], None]
    ) -> None:
        self._pipe = pipe
        self._tail = tail
        self._clock = clock
        self._give_up = give_up
        self._idle_seconds = idle_seconds
        self._longest_pause_seconds = min(LONGEST_LOOK_SECONDS, idle_seconds / 4)
        self._pause_seconds = min(FIRST_LOOK_SECONDS, self._longest_pause_seconds)
        self._looking: asyncio.Task[None] | None = None
        self._timer = clock.call_later(self._pause_seconds, self._start_look)

    def stop(self) -> None:
        """The stream has ended; what is left to look at is the caller's."""
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _start_look(self) -> None:
        self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        # What we look at now may have come at any time since the last look.
        self._timer = self._clock.call_later(self._idle_seconds, self._give_up)
        size_before = self._tail.size_bytes
        while True:
            data = await self._pipe.relayed()
            self._tail.feed(data)
            if len(data) < RELAYED_PIECE_BYTES:
                break
        self._timer.cancel()
        if not data:
            return
        seen = self._tail.size_bytes - size_before
        self._pause_seconds = min(
            self._longest_pause_seconds,
            2 * self._pause_seconds,
            self._pause_seconds * LOOK_BYTES / max(1, seen),
        )
        self._timer = self._clock.call_later(self._pause_seconds, self._start_look)
