"""How Qwen's stream becomes the client's: what is checked first, when to keep alive, how to end.

    open upstream -> first event -> 200 -> relay natively (or rewrite) -> end as clients expect it

Until the first event has come, an error is an answer with its own status. If it takes long, the client is
kept waiting with comments, and from then on an error is an event of the stream. The relaying itself is
native: Python only looks at what went through from time to time, to notice a stalled stream and to know how
it ended.

Everything here runs in the request's own task: a client that goes away ends it, and Qwen's connection with
it. An await is a turn of the event loop and a task is two, so there is none before the first byte that need
not be. What a healthy stream does not need is imported only where it is needed, to keep the start short.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qwen_worker.api.chat.healthy_stream import DONE, StreamTail, healthy_end, is_healthy_start
from qwen_worker.config.settings import Settings
from qwen_worker.errors import InternalError, ProxyError, StreamFailed, UpstreamTimeout, UpstreamUnavailable
from qwen_worker.log import Log
from qwen_worker.platform.ports import (
    BodyReader,
    Clock,
    InboundResponse,
    Pipe,
    Respond,
    Response,
    Runtime,
    StreamBroken,
)
from qwen_worker.streams.timers import IdleWatchdog, KeepAlive
from qwen_worker.upstream.attempts import Inspect

if TYPE_CHECKING:
    from qwen_worker.api.chat.repair import StreamRewriter
    from qwen_worker.api.chat.stream_start import Relaying

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
}

Start = tuple[BodyReader, bytes, "Relaying"]
"""Qwen's body, what has been read of it, and how to relay it."""

OpenUpstream = Callable[[Inspect[Start]], Coroutine[Any, Any, tuple[Start, dict[str, str]]]]
"""Hands an answer of Qwen's to what it is given, which looks for the first event; as long as that is an error
it may try again. Returns what that returns, and headers for the client.
"""


class StreamedCompletion:
    """An answer that is a stream of chat completion chunks.

    `include_usage` tells whether the client asked for a usage chunk.
    """

    def __init__(
        self,
        open_upstream: OpenUpstream,
        *,
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

    async def run(self, respond: Respond) -> None:
        """Calls `respond` as soon as the response can begin, and goes on until the stream has ended.

        Raises ProxyError, and has not called `respond` then, if Qwen's error comes before that.
        """
        wait = self._wait_for_first_event(respond)
        try:
            (reader, head, relaying), headers = await self._start()
        except Exception as error:
            wait.end()
            if wait.pipe is None:
                raise
            await self._to_the_end(wait.pipe, self._fail(wait.pipe, wait, error))
            return
        if wait.pipe is not None:
            wait.end()
            await self._to_the_end(wait.pipe, self._relay_after(wait, wait.pipe, reader, head, relaying))
            return
        pipe = wait.take_pipe()
        work = self._relay(pipe, reader, head, relaying)
        respond(_response(pipe, headers))
        wait.end()
        await asyncio.sleep(0)  # the first event is out before the rest is seen to
        await self._to_the_end(pipe, work)

    # --- the beginning

    def _wait_for_first_event(self, respond: Respond) -> KeepAlive:
        return KeepAlive(
            lambda pipe: respond(_response(pipe, {})),
            open_pipe=self._runtime.open_pipe,
            keep_alive_seconds=self._settings.keep_alive_seconds,
            clock=self._clock,
            patience_seconds=self._patience_seconds,
            give_up=self._give_up,
        )

    async def _start(self) -> tuple[Start, dict[str, str]]:
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
        from qwen_worker.api.chat.stream_start import classify_first_event

        return classify_first_event(
            head,
            ended=ended,
            include_usage=self._include_usage,
            header=answer.header,
            now_ms=self._heard_ms,
        )

    async def _fail(self, pipe: Pipe, wait: KeepAlive, error: Exception) -> None:
        """Tells an error in a stream that has begun with comments."""
        await wait.settled()
        if not isinstance(error, ProxyError):
            raise error
        await _write_error(pipe, error)
        self._log_end(error, None, None, 0)

    async def _relay_after(
        self, wait: KeepAlive, pipe: Pipe, reader: BodyReader, head: bytes, relaying: "Relaying"
    ) -> None:
        """Relays behind comments."""
        await wait.settled()
        await self._relay(pipe, reader, head, relaying)

    # --- the middle and the end

    async def _to_the_end(self, pipe: Pipe, work: Coroutine[Any, Any, None]) -> None:
        """Runs a stream to its end, which the client sees whatever happens."""
        try:
            await work
        except StreamBroken:
            self._log.info("client gone")
        except Exception as error:
            self._log.error("unexpected error", exception=type(error).__name__)
            with suppress(StreamBroken):
                await _write_error(pipe, InternalError("The gateway failed to relay the stream."))
        pipe.close()

    def _relay(
        self, pipe: Pipe, reader: BodyReader, head: bytes, relaying: "Relaying"
    ) -> Coroutine[Any, Any, None]:
        # Begun here and now: the first event is on its way before the response begins.
        if relaying == "rewritten":
            from qwen_worker.api.chat.repair import StreamRewriter

            rewriter = StreamRewriter(include_usage=self._include_usage, now_ms=self._clock.now_ms)
            translated = pipe.translate(reader, head, rewriter.feed, lambda: rewriter.is_over)
            return self._rewrite(pipe, translated, rewriter)
        tail = StreamTail()
        return self._follow(pipe, pipe.relay(reader, head, tail.feed, lambda: tail.is_done), tail)

    async def _follow(self, pipe: Pipe, relayed: Awaitable[None], tail: StreamTail) -> None:
        """Watches over native relaying, and ends the stream."""
        failure = await self._watched(pipe, relayed)
        end = healthy_end(tail) if failure is None else None
        if end is None:
            from qwen_worker.api.chat.stream_end import end_of_stream

            end = end_of_stream(tail, failure, self._clock.now_ms())
        if end.closing:
            await _write_last(pipe, end.closing)
        self._log_end(end.error, end.finish_reason, end.usage, tail.size_bytes)

    async def _watched(self, pipe: Pipe, relayed: Awaitable[None]) -> ProxyError | None:
        """Waits until Qwen's stream has ended; what ended it, None if Qwen did."""
        watch = IdleWatchdog(pipe, self._settings.idle_timeout_seconds, self._clock, self._give_up)
        try:
            await relayed
        except StreamBroken:
            return self._timed_out or _broken()
        finally:
            watch.stop()
        return None

    async def _rewrite(self, pipe: Pipe, relayed: Awaitable[None], rewriter: "StreamRewriter") -> None:
        """Watches over a translation, and ends the stream."""
        failure = await self._watched(pipe, relayed)
        await _write_last(pipe, rewriter.end(failure))
        self._log_end(rewriter.error, rewriter.finish_reason, rewriter.usage, rewriter.size_bytes)
        if self._answer is not None:
            self._answer.cancel()

    # --- both

    def _patience_seconds(self) -> float:
        """How much longer Qwen, after its headers, may be silent."""
        idle_seconds = self._settings.idle_timeout_seconds
        if not self._heard_ms:
            return idle_seconds
        return idle_seconds - (self._clock.now_ms() - self._heard_ms) / 1000

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


def _response(pipe: Pipe, headers: dict[str, str]) -> Response:
    return Response(200, {**headers, **STREAM_HEADERS}, pipe.readable)


def _broken() -> StreamFailed:
    return StreamFailed("The connection to Qwen broke in the middle of the stream.")


async def _write_error(pipe: Pipe, error: ProxyError) -> None:
    from qwen_worker.api.chat.stream_end import error_event

    await _write_last(pipe, error_event(error) + DONE)


async def _write_last(pipe: Pipe, data: bytes) -> None:
    """Sends what ends the stream.

    The end of the response is the end of the request: what the event loop has still to do for a write would
    never be done then, nor its memory given back.
    """
    await pipe.write(data)
    await asyncio.sleep(0)
