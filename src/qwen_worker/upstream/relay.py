"""How Qwen's stream becomes the client's: what is checked first, when to keep alive, how to end.

    open upstream -> first event -> 200 -> relay natively (or rewrite) -> end as clients expect it

Until the first event has come, an error is an answer with its own status. If it takes long, the client is
kept waiting with comments, and from then on an error is an event of the stream. The relaying itself is
native: Python only looks at what went through from time to time, to notice a stalled stream and to know how
it ended.

Everything here runs as a task of the request: a client that goes away ends it, and Qwen's connection with
it. What a healthy stream does not need is imported only where it is needed, to keep the start short.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qwen_worker.config import Settings
from qwen_worker.errors import InternalError, ProxyError, StreamFailed, UpstreamTimeout, UpstreamUnavailable
from qwen_worker.log import Log
from qwen_worker.platform.ports import (
    RELAYED_PIECE_BYTES,
    BodyReader,
    ByteStream,
    Clock,
    InboundResponse,
    Pipe,
    Response,
    Runtime,
    StreamBroken,
)
from qwen_worker.upstream.client import Inspect
from qwen_worker.upstream.healthy_stream import DONE, StreamTail, healthy_end, is_healthy_start

if TYPE_CHECKING:
    from qwen_worker.upstream.stream_start import Relaying

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
}
KEEP_ALIVE = b": keep-alive\n\n"

FIRST_LOOK_SECONDS = 0.5
LONGEST_LOOK_SECONDS = 8.0
"""What went through is looked at less and less often, since each look costs as much as ten chunks."""

LOOK_BYTES = 1_000_000
"""A fast stream is looked at whenever about so much has gone through: it is held in memory until then."""

REST_SECONDS = 0.5
"""How long to wait, when a stream ends without a `[DONE]`, for what has not been looked at yet."""

Start = tuple[BodyReader, bytes, "Relaying"]
"""Qwen's body, what has been read of it, and how to relay it."""

OpenUpstream = Callable[[Inspect[Start]], Coroutine[Any, Any, Start]]


async def stream_completion(
    open_upstream: OpenUpstream,
    *,
    include_usage: bool,
    model: str,
    settings: Settings,
    runtime: Runtime,
    log: Log,
    headers: dict[str, str],
) -> Response:
    """Answers with a stream of chat completion chunks.

    `open_upstream` hands an answer of Qwen's to what it is given, which looks for the first event; as long as
    that is an error, it may try again. `include_usage` tells whether the client asked for a usage chunk.
    `headers` are read when the response begins. Raises ProxyError if Qwen's error comes before.
    """
    relay = _Relay(open_upstream, include_usage, model, settings, runtime, log)
    body = await relay.begin()
    return Response(200, {**headers, **STREAM_HEADERS}, body)


class _Relay:
    """One stream."""

    def __init__(
        self,
        open_upstream: OpenUpstream,
        include_usage: bool,
        model: str,
        settings: Settings,
        runtime: Runtime,
        log: Log,
    ) -> None:
        self._open_upstream = open_upstream
        self._include_usage = include_usage
        self._model = model
        self._settings = settings
        self._runtime = runtime
        self._clock: Clock = runtime.clock
        self._log = log
        self._began_ms = self._clock.now_ms()
        self._answer: InboundResponse | None = None
        self._heard_ms = 0
        """When Qwen last sent something; 0 before its headers."""
        self._first_event_ms = 0
        self._timed_out: ProxyError | None = None
        self._running: asyncio.Task[None] | None = None

    # --- the beginning

    async def begin(self) -> ByteStream:
        """Returns what the client is given, once it is clear that the answer is a stream."""
        start = asyncio.ensure_future(self._start())
        keep_alive = self._settings.keep_alive_seconds
        while not await self._started_within(start, keep_alive or self._settings.idle_timeout_seconds):
            if keep_alive:
                pipe = self._runtime.open_pipe()
                self._run(self._keep_alive(pipe, start), pipe)
                return pipe.readable
        reader, head, relaying = start.result()
        pipe = self._runtime.open_pipe()
        self._run(self._relay(pipe, reader, head, relaying), pipe)
        return pipe.readable

    async def _start(self) -> Start:
        """Opens the upstream up to the first event. Raises ProxyError."""
        start = await self._open_upstream(self._inspect)
        del self._open_upstream  # and with it the request's body, for as long as the stream lasts
        return start

    async def _inspect(self, answer: InboundResponse, log: Log) -> Start:
        """Reads an answer up to its first event. Raises ProxyError if it does not begin a stream."""
        self._answer, self._log, self._timed_out = answer, log, None
        try:
            return await self._read_start(answer)
        except ProxyError:
            answer.cancel()
            self._heard_ms = 0
            raise

    async def _read_start(self, answer: InboundResponse) -> Start:
        self._heard_ms = self._clock.now_ms()
        reader = answer.reader()
        head = b""
        while True:
            try:
                piece = await reader.read()
            except StreamBroken:
                raise self._timed_out or UpstreamUnavailable(
                    "The connection to Qwen broke before its answer began."
                ) from None
            self._heard_ms = self._clock.now_ms()
            head += piece or b""
            relaying = self._judge(answer, head, ended=piece is None)
            if relaying is not None:
                self._first_event_ms = self._heard_ms
                if self._settings.rewrite_streams == "always":
                    relaying = "rewritten"
                return reader, head, relaying

    def _judge(self, answer: InboundResponse, head: bytes, *, ended: bool) -> "Relaying | None":
        """How to relay what begins with `head`; None if more must be seen. Raises ProxyError."""
        if is_healthy_start(head):
            return "native"
        from qwen_worker.upstream.stream_start import judge_start

        return judge_start(
            head,
            ended=ended,
            include_usage=self._include_usage,
            header=answer.header,
            now_ms=self._heard_ms,
        )

    async def _started_within(self, start: asyncio.Task[Any], seconds: float) -> bool:
        """Waits for the first event, at most so long; gives an upstream up that has been silent too long."""
        if await _done_within(start, seconds, self._clock):
            return True
        if self._heard_ms and self._is_silent():
            self._give_up()
            await asyncio.wait((start,))
            return True
        return False

    async def _keep_alive(self, pipe: Pipe, start: asyncio.Task[Start]) -> None:
        """Sends comments until the first event; then relays, or tells the error in the stream."""
        while True:
            await pipe.write(KEEP_ALIVE)
            if await self._started_within(start, self._settings.keep_alive_seconds):
                break
        try:
            reader, head, relaying = start.result()
        except ProxyError as error:
            await _write_error(pipe, error)
            self._log_end(error, None, None, 0)
            return
        await self._relay(pipe, reader, head, relaying)

    # --- the middle and the end

    def _run(self, work: Coroutine[Any, Any, None], pipe: Pipe) -> None:
        """Lets the request go on with `work` after its response has begun.

        The response is ended by a callback of the task and not within it: its end is the end of the request,
        and what the event loop has still to do for the task would never be done, nor its memory given back.
        """
        self._running = asyncio.ensure_future(self._to_the_end(work, pipe))
        self._running.add_done_callback(lambda _: pipe.close())

    async def _to_the_end(self, work: Coroutine[Any, Any, None], pipe: Pipe) -> None:
        """Runs a stream to its end, which the client sees whatever happens."""
        try:
            await work
        except StreamBroken:
            self._log.info("client gone")
        except Exception as error:
            self._log.error("unexpected error", exception=type(error).__name__)
            with suppress(StreamBroken):
                await _write_error(pipe, InternalError("The gateway failed to relay the stream."))

    def _relay(
        self, pipe: Pipe, reader: BodyReader, head: bytes, relaying: "Relaying"
    ) -> Coroutine[Any, Any, None]:
        if relaying == "rewritten":
            return self._rewrite(pipe, reader, head)
        # Begun here and now: the first event need not wait for the task that follows the stream.
        return self._follow(pipe, pipe.relay(reader, head))

    async def _follow(self, pipe: Pipe, relayed: Awaitable[None]) -> None:
        """Watches over native relaying, and ends the stream."""
        tail = StreamTail()
        watch = _Watch(pipe, tail, self._settings.idle_timeout_seconds, self._clock, self._give_up)
        failure: ProxyError | None = None
        try:
            await relayed
        except StreamBroken:
            failure = self._timed_out or _broken()
        watch.stop()
        while not tail.is_done and (data := await self._rest(pipe, tail)):
            tail.feed(data)
        end = healthy_end(tail) if failure is None else None
        if end is None:
            from qwen_worker.upstream.stream_end import end_of_stream

            end = end_of_stream(tail, failure, self._clock.now_ms())
        if end.closing:
            await pipe.write(end.closing)
        self._log_end(end.error, end.finish_reason, end.usage, tail.size_bytes)

    async def _rest(self, pipe: Pipe, tail: StreamTail) -> bytes:
        """What was relayed and has not been looked at yet; empty if that is all."""
        if tail.size_bytes == 0:
            return await pipe.relayed()  # the first event at least
        rest = asyncio.ensure_future(pipe.relayed())
        if await _done_within(rest, REST_SECONDS, self._clock):
            return rest.result()
        rest.cancel()
        return b""

    async def _rewrite(self, pipe: Pipe, reader: BodyReader, head: bytes) -> None:
        from qwen_worker.upstream.rewrite import StreamRewriter

        pipe.stop_observing()
        rewriter = StreamRewriter(include_usage=self._include_usage, now_ms=self._clock.now_ms)
        watching = asyncio.ensure_future(self._watch_reads())
        failure: ProxyError | None = None
        piece: bytes | None = head
        try:
            while piece is not None:
                self._heard_ms = self._clock.now_ms()
                events = rewriter.feed(piece)
                if events:
                    await pipe.write(events)
                if rewriter.is_over:
                    break
                piece = await reader.read()
        except StreamBroken:
            failure = self._timed_out or _broken()
        watching.cancel()
        await pipe.write(rewriter.end(failure))
        self._log_end(rewriter.error, rewriter.finish_reason, rewriter.usage, rewriter.size_bytes)
        if self._answer is not None:
            self._answer.cancel()

    async def _watch_reads(self) -> None:
        while not self._is_silent():
            await self._clock.sleep(self._settings.idle_timeout_seconds / 4)
        self._give_up()

    # --- both

    def _is_silent(self) -> bool:
        silent_ms = self._clock.now_ms() - self._heard_ms
        return silent_ms >= self._settings.idle_timeout_seconds * 1000

    def _give_up(self) -> None:
        """Closes the connection to Qwen, which whoever waits for it sees as broken."""
        seconds = self._settings.idle_timeout_seconds
        self._timed_out = UpstreamTimeout(f"Qwen sent nothing for {seconds:g} seconds.")
        if self._answer is not None:
            self._answer.cancel()

    def _log_end(
        self,
        error: ProxyError | None,
        finish_reason: str | None,
        usage: dict[str, Any] | None,
        size_bytes: int,
    ) -> None:
        """The one line that tells what became of the stream."""
        now_ms = self._clock.now_ms()
        write = self._log.info if error is None else self._log.warning
        write(
            "usage",
            model=self._model,
            usage=usage,
            finish_reason=finish_reason,
            bytes=size_bytes,
            time_to_first_byte_ms=self._first_event_ms - self._began_ms if self._first_event_ms else None,
            duration_ms=now_ms - self._began_ms,
            outcome="completed" if error is None else error.code,
        )


class _Watch:
    """Looks from time to time at what went through, and calls `give_up` when nothing did for too long.

    Timers and not a sleeping task: most streams end before the first look, and should not pay for it.
    """

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


def _broken() -> StreamFailed:
    return StreamFailed("The connection to Qwen broke in the middle of the stream.")


async def _write_error(pipe: Pipe, error: ProxyError) -> None:
    from qwen_worker.upstream.stream_end import error_event

    await pipe.write(error_event(error) + DONE)


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
