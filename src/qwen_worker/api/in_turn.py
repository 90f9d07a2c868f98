"""One request that takes several calls to Qwen, whose answers make one stream, one after the other."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

from qwen_worker.api.context import Context
from qwen_worker.api.proxy import Journey
from qwen_worker.errors import ProxyError
from qwen_worker.platform.ports import Pipe
from qwen_worker.streams.outcome import StreamOutcome
from qwen_worker.upstream.attempts import Opened
from qwen_worker.upstream.call import Call

AHEAD = 2
"""How many calls are made before their turn. What they send waits in the runtime, which lets a request have
six connections; the answer that is being sent has one, and KV or the database may want another.
"""


class StreamInTurn(Journey):
    """The calls of one request, each of which asks for a stream that is translated.

    The first answer decides on status and headers. A call that fails ends the stream.
    """

    def __init__(self, calls: Sequence[Call], context: Context) -> None:
        super().__init__(calls[0], context)
        self._waiting = deque(_Follower(call, context) for call in calls[1:])

    def _relay(self, pipe: Pipe, opened: Opened) -> Coroutine[Any, Any, StreamOutcome]:
        return self._relay_all(pipe, super()._relay(pipe, opened))

    async def _relay_all(self, pipe: Pipe, first: Coroutine[Any, Any, StreamOutcome]) -> StreamOutcome:
        work, size_bytes = first, 0
        try:
            while True:
                for follower in list(self._waiting)[:AHEAD]:
                    follower.begin()
                outcome = await work
                size_bytes += outcome.size_bytes
                if outcome.completion.error is not None or not self._waiting:
                    return outcome._replace(size_bytes=size_bytes)
                work = self._waiting.popleft().append_to(pipe)
        finally:
            for follower in self._waiting:
                follower.give_up()


class _Follower(Journey):
    """A call whose answer follows another one's in the same stream."""

    def __init__(self, call: Call, context: Context) -> None:
        super().__init__(call, context)
        self._asking: asyncio.Task[Opened] | None = None

    def begin(self) -> "asyncio.Task[Opened]":
        """The call, which is made now if it has not been made."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(self.ask())
        return self._asking

    async def append_to(self, pipe: Pipe) -> StreamOutcome:
        """Relays the answer to its end; the client gets keep-alives until it begins."""
        asking, wait = self.begin(), self._keep_alive()
        wait.pipe = pipe
        try:
            opened = await asking
        except ProxyError as error:
            wait.end()
            return await self._fail(pipe, wait, error)
        wait.end()
        self.count_beginning()
        return await self._relay_after(wait, pipe, opened)

    def give_up(self) -> None:
        """Closes the connection of a call whose answer nobody waits for any more."""
        asking = self._asking
        if asking is None:
            return
        if not asking.done():
            asking.cancel()
        elif not asking.cancelled() and asking.exception() is None:
            asking.result().answer.cancel()
