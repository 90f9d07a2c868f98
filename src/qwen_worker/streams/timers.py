"""The timers of a stream: before its first event, and while it is relayed.

Timers and not sleeping tasks: most streams end before the first of them is due, and should not pay for it.
"""

import asyncio
from collections.abc import Callable

from qwen_worker.platform.ports import Clock, Pipe, StreamBroken

FIRST_LOOK_SECONDS = 0.5
SLOWER = 4
LONGEST_LOOK_SECONDS = 8.0
"""What went through is looked at less and less often, since each look costs as much as ten chunks."""

LOOK_BYTES = 1_000_000
"""A fast stream is looked at whenever about so much has gone through: it is held in memory until then."""


class KeepAlive:
    """While there is no first event: keep-alives for the client, and a limit to the silence of Qwen.

    `begin` begins the response with a pipe; it is called before the first keep-alive, and never with
    `keep_alive_seconds` 0. `keep_alive` gives what is sent then. `patience_seconds` tells how much longer
    Qwen may be silent, `give_up` makes whoever waits for Qwen fail.
    """

    __slots__ = (
        "_begin",
        "_clock",
        "_comment",
        "_comment_ms",
        "_give_up",
        "_has_ended",
        "_keep_alive",
        "_keep_alive_seconds",
        "_open_pipe",
        "_opened",
        "_patience_seconds",
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
        clock: Clock,
        patience_seconds: Callable[[], float],
        give_up: Callable[[], None],
    ) -> None:
        self.pipe: Pipe | None = None
        """What the client is given, once the response has begun."""
        self._begin = begin
        self._keep_alive = keep_alive
        self._open_pipe = open_pipe
        self._keep_alive_seconds = keep_alive_seconds
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._give_up = give_up
        self._opened: Pipe | None = None
        self._comment: asyncio.Task[None] | None = None
        self._has_ended = False
        self._comment_ms = clock.now_ms() + keep_alive_seconds * 1000
        """When the next keep-alive is due."""
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
        if self.pipe is None:
            self._opened = self._open_pipe()
        self._wait_on()

    def _is_due(self) -> None:
        if self._patience_seconds() <= 0:
            self._give_up()
        elif self._keep_alive_seconds and self._clock.now_ms() >= self._comment_ms:
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
        self._comment_ms = self._clock.now_ms() + self._keep_alive_seconds * 1000
        if not self._has_ended:
            self._wait_on()

    def _wait_on(self) -> None:
        """Until the next keep-alive, or the end of our patience if that is nearer."""
        pause_seconds = self._patience_seconds()
        if self._keep_alive_seconds:
            pause_seconds = min(pause_seconds, (self._comment_ms - self._clock.now_ms()) / 1000)
        self._timer = self._clock.call_later(max(0.0, pause_seconds), self._is_due)


class IdleWatchdog:
    """Looks from time to time at what came from Qwen, and calls `give_up` when nothing did for too long."""

    __slots__ = (
        "_clock",
        "_give_up",
        "_heard",
        "_heard_ms",
        "_idle_seconds",
        "_longest_pause_seconds",
        "_pause_seconds",
        "_pipe",
        "_timer",
    )

    def __init__(self, pipe: Pipe, idle_seconds: float, clock: Clock, give_up: Callable[[], None]) -> None:
        self._pipe = pipe
        self._clock = clock
        self._give_up = give_up
        self._idle_seconds = idle_seconds
        self._heard = 0
        self._heard_ms = clock.now_ms()
        """When we last knew of new bytes: at most a pause after they came."""
        self._longest_pause_seconds = min(LONGEST_LOOK_SECONDS, idle_seconds / 4)
        self._pause_seconds = min(FIRST_LOOK_SECONDS, self._longest_pause_seconds)
        self._timer = clock.call_later(self._pause_seconds, self._is_due)

    def stop(self) -> None:
        """The stream has ended."""
        self._timer.cancel()

    def _is_due(self) -> None:
        now_ms = self._clock.now_ms()
        heard = self._pipe.heard
        if heard > self._heard:
            self._pause_seconds = min(
                self._longest_pause_seconds,
                SLOWER * self._pause_seconds,
                self._pause_seconds * LOOK_BYTES / (heard - self._heard),
            )
            self._heard, self._heard_ms = heard, now_ms
        left_seconds = self._idle_seconds - (now_ms - self._heard_ms) / 1000
        if left_seconds <= 0:
            self._give_up()
            return
        self._pipe.look()
        self._timer = self._clock.call_later(min(self._pause_seconds, left_seconds), self._is_due)
