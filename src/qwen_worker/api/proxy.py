"""The one way from a checked request to an answer, for every API.

    call -> account -> attempts -> checked answer, or first event -> respond -> relay -> end -> log

Until the first event of a stream has come, an error is an answer with its own status. If it takes long, the
client is kept waiting with keep-alives, and from then on an error is what ends the stream.

Everything here runs in the request's own task: a client that goes away ends it, and Qwen's connection with
it. An await costs a turn of the event loop and a task costs two, so before the first byte there are no
needless ones. What a usual request does not need is imported only where it is needed, to keep the start
short.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from qwen_worker.api.context import Context
from qwen_worker.api.log_fields import counts, finish_reason
from qwen_worker.api.passed_headers import passed_headers
from qwen_worker.auth import may_use
from qwen_worker.dialect import Completion
from qwen_worker.errors import InternalError, ProxyError, StreamFailed, UpstreamUnavailable
from qwen_worker.models import model_not_found
from qwen_worker.platform.ports import BodyReader, ByteStream, Pipe, Response, Runtime, StreamBroken
from qwen_worker.stream_tail import StreamTail
from qwen_worker.streams.native import follow_native
from qwen_worker.streams.outcome import StreamOutcome
from qwen_worker.streams.timers import KeepAlive
from qwen_worker.upstream.attempts import ATTEMPTS, Exchange, Opened, open_on_account
from qwen_worker.upstream.call import Call
from qwen_worker.upstream.first_event import StreamStart

if TYPE_CHECKING:
    from qwen_worker.upstream.whole_answer import WholeAnswer

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
}


async def proxy(call: Call, context: Context) -> None:
    """Answers a checked request. Raises ProxyError, and has not responded then, if no account can.

    The call holds the request, which may be large, so no variable keeps it while a stream lasts. Handlers
    create it in the arguments of this function, without a name.
    """
    journey = Journey(call, context)
    is_stream = call.stream
    del call
    if is_stream:
        await journey.stream()
    else:
        await journey.whole()


class Journey:
    """One request on its way to Qwen and back."""

    def __init__(self, call: Call, context: Context) -> None:
        self._model = call.model
        self._dialect = call.dialect
        self._context = context
        self._clock = context.runtime.clock
        self._idle_seconds = context.settings.idle_timeout_seconds
        self._began_ms = self._clock.now_ms()
        self._first_byte_ms: int | None = None
        self._log = context.log
        self._meter = context.meter
        self._open_pipe = _opener(call, context.runtime)
        self._check_model(call.stream)
        self._exchange = Exchange(
            call,
            request_id=context.request_id,
            user_agent=context.request.header("user-agent"),
            timeout_seconds=context.settings.upstream_timeout_seconds,
            errors=context.errors,
            runtime=context.runtime,
            log=context.log,
        )

    def _check_model(self, is_stream: bool) -> None:
        """Raises NotFound for a model that the client's key may not use."""
        settings, client = self._context.settings, self._context.client
        model = self._model or settings.default_model
        if self._meter is not None:
            is_known = (
                model == settings.default_model or model in settings.models or model in settings.model_aliases
            )
            self._meter.asked(model, is_known=is_known, is_stream=is_stream)
        if client.models and not may_use(client, model, settings.model_aliases):
            raise model_not_found()

    async def ask(self) -> Opened:
        """The first answer worth passing on, of whichever account. Raises ProxyError."""
        exchange, pool = self._exchange, self._context.pool
        serving = pool.serving(self._model, exchange.call.api)
        try:
            if pool.record is None:
                account, model = serving[0]
                opened = await open_on_account(exchange, account.access(model), attempts=ATTEMPTS)
            else:
                from qwen_worker.accounts.failover import Failover

                opened = await Failover(exchange, serving, pool.record).open()
        except ProxyError as error:
            if exchange.call.explain is not None:
                exchange.call.explain(error)
            raise
        exchange.forget_request()
        self._context.request.forget_body()
        if self._context.client.tokens_per_day is not None:
            self.count_beginning()  # the response's headers tell what is left of the day's tokens
        self._first_byte_ms = self._clock.now_ms()
        self._log = self._context.log.bound(account=opened.account)
        return opened

    def count_beginning(self, *, is_whole: bool = False) -> None:
        """Counts that an account has begun to answer, when that is on its way to the client. `is_whole`: the
        end is counted next.
        """
        sent, self._exchange.sent = self._exchange.sent, None
        if self._meter is not None and sent is not None:
            self._meter.answered(*sent, is_whole=is_whole)

    # --- a whole answer

    async def whole(self) -> None:
        """Responds with an answer that has come whole and was checked."""
        opened = await self.ask()
        answer, prepared = cast("WholeAnswer", opened.content), opened.prepared
        headers = {**self.headers(opened), "content-type": "application/json"}
        if answer.rest is not None:
            if prepared.translator is not None:
                opened.answer.end_timeout()
                opened.answer.cancel()
                raise UpstreamUnavailable("Qwen's answer is larger than this gateway translates.")
            completion = await self._pass_on(opened, answer.rest, headers)
            self.log_end("completion ended", completion, None)
            self.count(completion, answer.data, len(answer.data))
            return
        self._context.respond(Response(200, headers, _body_of(opened, answer)))
        self.count_beginning(is_whole=True)
        self.log_end("completion ended", answer.completion, len(answer.data))
        self.count(answer.completion, answer.data, len(answer.data))

    async def _pass_on(self, opened: Opened, rest: BodyReader, headers: dict[str, str]) -> Completion:
        """Responds with an answer that is too long to be read first. Returns what became of it.

        If it breaks off, the client has half a JSON object, which it cannot take for an answer.
        """
        pipe = self._context.runtime.open_pipe()
        head, retouch = cast("WholeAnswer", opened.content).data, opened.prepared.retouch
        relayed = pipe.relay(rest, head if retouch is None else retouch(head))
        self._context.respond(Response(200, headers, pipe.readable))
        self.count_beginning()
        error: ProxyError | None = None
        try:
            await relayed
        except StreamBroken:
            error = StreamFailed("The connection to Qwen broke in the middle of the answer.")
        opened.answer.end_timeout()
        pipe.close()
        return Completion(error)

    # --- a stream

    async def stream(self) -> None:
        """Responds as soon as a stream can begin, and goes on until it has ended."""
        wait = self._keep_alive()
        try:
            opened = await self.ask()
        except Exception as error:
            wait.end()
            if wait.pipe is None:
                raise
            await self._to_the_end(wait.pipe, self._fail(wait.pipe, wait, error))
            return
        if wait.pipe is not None:
            wait.end()
            self.count_beginning()
            await self._to_the_end(wait.pipe, self._relay_after(wait, wait.pipe, opened))
            return
        pipe = wait.take_pipe()
        work = self._relay(pipe, opened)
        self._context.respond(_stream_response(pipe, self.headers(opened)))
        wait.end()
        await asyncio.sleep(0)  # the first event is out before the rest is seen to
        self.count_beginning()
        await self._to_the_end(pipe, work)

    def _keep_alive(self) -> KeepAlive:
        return KeepAlive(
            lambda pipe: self._context.respond(_stream_response(pipe, {})),
            keep_alive=self._dialect.keep_alive,
            open_pipe=self._open_pipe,
            keep_alive_seconds=self._context.settings.keep_alive_seconds,
            clock=self._clock,
            patience_seconds=lambda: self._exchange.connection.patience_seconds(self._idle_seconds),
            give_up=lambda: self._exchange.connection.give_up(self._idle_seconds),
        )

    def _relay(self, pipe: Pipe, opened: Opened) -> Coroutine[Any, Any, StreamOutcome]:
        """Begins to relay, natively if that will do; to be awaited, to the end."""
        start, prepared = cast(StreamStart, opened.content), opened.prepared
        head = start.head if prepared.retouch is None else prepared.retouch(start.head)
        translator = prepared.translator
        if translator is None and start.relaying == "repaired" and prepared.repairer is not None:
            translator = prepared.repairer()
        if translator is None:
            # Begun here and now: the first event is on its way before the response begins.
            tail, dialect = StreamTail(prepared.kept_bytes), prepared.dialect
            return follow_native(
                pipe,
                pipe.relay(start.reader, head, tail.feed, lambda: dialect.is_done(tail)),
                tail,
                dialect,
                self._exchange.connection,
                self._exchange.errors,
                idle_seconds=self._idle_seconds,
                clock=self._clock,
            )
        from qwen_worker.streams.translated import relay_translated

        return relay_translated(
            pipe,
            start.reader,
            head,
            translator,
            self._exchange.connection,
            idle_seconds=self._idle_seconds,
            clock=self._clock,
        )

    async def _relay_after(self, wait: KeepAlive, pipe: Pipe, opened: Opened) -> StreamOutcome:
        """Relays behind keep-alives."""
        await wait.settled()
        return await self._relay(pipe, opened)

    async def _fail(self, pipe: Pipe, wait: KeepAlive, error: Exception) -> StreamOutcome:
        """Sends an error in a stream that has begun with keep-alives."""
        await wait.settled()
        if not isinstance(error, ProxyError):
            raise error
        await pipe.write(self._dialect.error_ending(error))
        return StreamOutcome(Completion(error), 0)

    async def _to_the_end(self, pipe: Pipe, work: Coroutine[Any, Any, StreamOutcome]) -> None:
        """Runs a stream to its end. Whatever happens, the client sees how it ended."""
        try:
            outcome = await work
            self.log_end("stream ended", outcome.completion, outcome.size_bytes)
            pipe.close()
            self.count(outcome.completion, outcome.kept, outcome.size_bytes)
            return
        except StreamBroken:
            self._log.info("client gone")
        except Exception as error:
            self._log.error("unexpected error", exception=type(error).__name__)
            failure = InternalError("The gateway failed to relay the stream.")
            with suppress(StreamBroken):
                await pipe.write(self._dialect.error_ending(failure))
            self.count(Completion(failure), b"", 0)
        pipe.close()

    # --- both

    def headers(self, opened: Opened) -> dict[str, str]:
        """The response headers that tell of the host's answer and of the account that gave it."""
        return {**passed_headers(opened.answer, self._exchange.errors), "x-qwen-account": opened.account}

    def count(self, completion: Completion, kept: bytes, size_bytes: int) -> None:
        """Counts the end of the answer, when the client has all of it."""
        if self._meter is not None:
            self._meter.ended(completion.error, completion.usage, kept, size_bytes)

    def log_end(self, event: str, completion: Completion, size_bytes: int | None) -> None:
        """Logs the one line that says what became of the request."""
        error, now_ms = completion.error, self._clock.now_ms()
        write = self._log.info if error is None else self._log.warning
        write(
            event,
            client=self._context.client.label,
            model=self._model or self._context.settings.default_model,
            usage=counts(completion.usage, self._exchange.errors),
            finish_reason=finish_reason(completion.finish_reason, self._exchange.errors),
            bytes=size_bytes,
            time_to_first_byte_ms=None
            if self._first_byte_ms is None
            else self._first_byte_ms - self._began_ms,
            duration_ms=now_ms - self._began_ms,
            outcome="completed" if error is None else error.code,
        )


def _body_of(opened: Opened, answer: "WholeAnswer") -> bytes | ByteStream:
    """A whole answer as the client reads it: as it came, if it can."""
    prepared, buffer = opened.prepared, opened.answer.buffer
    if prepared.translator is not None:
        return json.dumps(prepared.translator.whole(answer.value)).encode()
    if prepared.retouch is not None:
        return prepared.retouch(answer.data)
    return answer.data if buffer is None else buffer


def _opener(call: Call, runtime: Runtime) -> Callable[[], Pipe]:
    """What opens the pipe for a stream, usually while Qwen is awaited."""
    get_ready = call.get_ready
    if get_ready is None:
        return runtime.open_pipe

    def open_ready() -> Pipe:
        get_ready()
        return runtime.open_translating_pipe()

    return open_ready


def _stream_response(pipe: Pipe, headers: dict[str, str]) -> Response:
    return Response(200, {**headers, **STREAM_HEADERS}, pipe.readable)
