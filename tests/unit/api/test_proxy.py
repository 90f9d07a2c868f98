"""The proxy's policy for streams: when a response begins, what it waits for, how it ends. In virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.chat.events import KEEP_ALIVE
from qwen_worker.api.chat.repair import StreamRepairer
from qwen_worker.api.context import Context
from qwen_worker.api.proxy import proxy
from qwen_worker.config.account import AccountSettings
from qwen_worker.config.settings import Settings
from qwen_worker.errors import ProxyError, RateLimited, UpstreamTimeout
from qwen_worker.log import Log
from qwen_worker.platform.ports import OutboundRequest, Respond, StreamBroken
from qwen_worker.upstream.call import Call, Prepared
from qwen_worker.upstream.error_reader import ErrorReader
from tests.support.accounts import new_pool
from tests.support.chunks import DONE, FINISH, USAGE, USAGE_CHUNK, chunk, content, event, events, text
from tests.support.clock import START_MS, VirtualClock, virtual
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, make_runtime
from tests.support.responses import response_of
from tests.support.streams import MemoryPipe, StreamResponse

WHOLE = text("Hello") + FINISH + DONE
ACCOUNT = AccountSettings("api_key", "first", "key", 10, api_key="upstream-key-1")


class World:
    """One request for a stream."""

    def __init__(
        self,
        answer: StreamResponse | Exception,
        *,
        opens_after_seconds: float = 0.0,
        open_pipe: Callable[[], Any] = MemoryPipe,
        get_ready: Callable[[], None] | None = None,
        open_translating_pipe: Callable[[], Any] | None = None,
        **settings: Any,
    ) -> None:
        self.answer = answer
        self.log = LogRecorder()
        self._opens_after_seconds = opens_after_seconds
        self._open_pipe = open_pipe
        self._get_ready = get_ready
        self._open_translating_pipe = open_translating_pipe
        self._settings = Settings(accounts=(ACCOUNT,), **settings)

    async def begin(self, *, include_usage: bool = False) -> MemoryPipe:
        """The response's body, once the response has begun. Raises the error that comes before."""
        runtime = make_runtime(
            clock=VirtualClock(),
            fetcher=ScriptedFetcher(self._fetched),
            open_pipe=self._open_pipe,
            open_translating_pipe=self._open_translating_pipe,
        )
        errors = ErrorReader((), runtime.clock.now_ms)
        call = Call(
            model="qwen3-coder-plus",
            stream=True,
            affinity_key=int,
            dialect=(dialect := ChatDialect(include_usage=include_usage)),
            prepare=lambda target: Prepared(
                "/chat/completions",
                b"{}",
                dialect,
                repairer=lambda: StreamRepairer(include_usage=include_usage, event_error=errors.in_event),
            ),
            get_ready=self._get_ready,
        )

        async def work(respond: Respond) -> None:
            context = Context(
                ScriptedRequest("POST", "/v1/chat/completions"),
                "request-1",
                "",
                self._settings,
                new_pool(self._settings),
                runtime,
                Log(self.log, "info", "request-1"),
                errors,
                respond,
                START_MS,
            )
            await proxy(call, context)

        response = await response_of(work)
        assert response.status == 200
        assert isinstance(response.body, MemoryPipe)
        begins_with_comment = await response.body.first_bytes() == KEEP_ALIVE
        assert response.headers == {
            **({} if begins_with_comment else {"x-qwen-account": "first"}),
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache, no-transform",
        }
        return response.body

    async def content(self, *, include_usage: bool = False) -> bytes:
        """Everything that the client gets."""
        return await (await self.begin(include_usage=include_usage)).content()

    @property
    def usage(self) -> dict[str, Any]:
        """The one line that is logged at the end."""
        (line,) = self.log.events("stream ended")
        return line

    async def _fetched(self, _: OutboundRequest) -> StreamResponse:
        await asyncio.sleep(self._opens_after_seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_a_stream_goes_through_as_it_is() -> None:
    world = World(StreamResponse(text("Hello"), 0.1, text(" world"), FINISH + USAGE_CHUNK, DONE))

    pipe = await world.begin(include_usage=True)
    stream = await pipe.content()

    assert stream == text("Hello") + text(" world") + FINISH + USAGE_CHUNK + DONE
    assert pipe.writes == []


@virtual
async def test_the_response_begins_with_the_first_event() -> None:
    world = World(StreamResponse(1.0, text("Hello"), 5.0, FINISH + DONE))

    pipe = await world.begin()

    assert now() == pytest.approx(1.0)
    assert await pipe.first_bytes() == text("Hello")
    assert now() == pytest.approx(1.0)


@virtual
async def test_what_is_translated_is_got_ready_while_qwen_is_awaited() -> None:
    ready_at: list[float] = []

    class Translating(MemoryPipe):
        pass

    world = World(
        StreamResponse(1.0, WHOLE),
        get_ready=lambda: ready_at.append(now()),
        open_translating_pipe=Translating,
    )
    pipe = await world.begin()

    assert isinstance(pipe, Translating)
    assert ready_at == [0.0]
    assert await pipe.content() == WHOLE


@virtual
async def test_a_first_event_in_pieces_is_awaited() -> None:
    first = text("Hello")
    world = World(StreamResponse(first[:10], 0.1, first[10:20], 0.1, first[20:], FINISH + DONE))

    assert await world.content() == first + FINISH + DONE


@virtual
async def test_an_error_before_the_stream_is_raised() -> None:
    with pytest.raises(RateLimited):
        await World(RateLimited("Slow down.")).begin()


@virtual
async def test_an_error_in_the_first_event_is_raised() -> None:
    error = b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling","message":"Slow down."}\n\n'

    with pytest.raises(RateLimited):
        await World(StreamResponse(error)).begin()


@virtual
async def test_a_connection_that_breaks_before_the_first_event_is_raised() -> None:
    with pytest.raises(ProxyError) as raised:
        await World(StreamResponse(text("Hello")[:9], StreamBroken())).begin()

    assert raised.value.status == 502


@virtual
async def test_a_silent_upstream_is_kept_alive() -> None:
    world = World(StreamResponse(text("Hello"), FINISH + DONE), opens_after_seconds=25, keep_alive_seconds=10)

    pipe = await world.begin()

    assert now() == pytest.approx(10)
    assert await pipe.first_bytes() == KEEP_ALIVE
    assert await pipe.content() == KEEP_ALIVE * 2 + text("Hello") + FINISH + DONE
    assert now() == pytest.approx(25, abs=0.1)


@virtual
async def test_an_upstream_silent_after_its_headers_is_kept_alive() -> None:
    world = World(StreamResponse(15.0, text("Hello"), FINISH + DONE), keep_alive_seconds=10)

    assert await world.content() == KEEP_ALIVE + text("Hello") + FINISH + DONE


@virtual
async def test_patience_begins_with_the_headers_and_not_with_the_request() -> None:
    world = World(
        StreamResponse(10_000.0), opens_after_seconds=25, keep_alive_seconds=40, idle_timeout_seconds=30
    )

    error, _ = events(await world.content())

    assert error["error"]["code"] == "upstream_timeout"
    assert 55 <= now() <= 56


@virtual
async def test_no_keep_alive_when_it_is_turned_off() -> None:
    world = World(StreamResponse(250.0, text("Hello"), FINISH + DONE), keep_alive_seconds=0)

    pipe = await world.begin()

    assert now() == pytest.approx(250)
    assert await pipe.content() == text("Hello") + FINISH + DONE


@virtual
async def test_an_error_after_a_keep_alive_is_an_event() -> None:
    world = World(RateLimited("Slow down."), opens_after_seconds=15, keep_alive_seconds=10)

    stream = await world.content()

    error, done = events(stream)
    assert error["error"]["code"] == "rate_limit_exceeded"
    assert error["error"]["type"] == "rate_limit_error"
    assert done == "[DONE]"
    assert world.usage["outcome"] == "rate_limit_exceeded"


@virtual
async def test_an_error_in_the_first_event_after_a_keep_alive_is_an_event() -> None:
    world = World(StreamResponse(15.0, event({"error": {"code": "Throttling", "message": "Slow down."}})))

    error, done = events(await world.content())

    assert error["error"]["code"] == "rate_limit_exceeded"
    assert done == "[DONE]"


@virtual
async def test_a_bug_of_ours_after_a_keep_alive_is_an_event() -> None:
    world = World(RuntimeError("secret words"), opens_after_seconds=15, keep_alive_seconds=10)

    error, done = events(await world.content())

    assert error["error"]["code"] == "internal_error"
    assert done == "[DONE]"
    assert "secret words" not in world.log.text


@pytest.mark.parametrize("keep_alive_seconds", [0, 10, 120])
@virtual
async def test_an_upstream_that_stays_silent_after_its_headers_is_given_up(keep_alive_seconds: float) -> None:
    answer = StreamResponse(10_000.0)
    world = World(answer, keep_alive_seconds=keep_alive_seconds, idle_timeout_seconds=60)

    if keep_alive_seconds == 10:
        error, _ = events(await world.content())
        assert error["error"]["code"] == "upstream_timeout"
    else:
        with pytest.raises(UpstreamTimeout):
            await world.begin()

    assert 60 <= now() <= 61
    assert answer.body.is_cancelled


@virtual
async def test_a_stream_that_stalls_is_given_up() -> None:
    answer = StreamResponse(text("Hello"), 10_000.0)
    world = World(answer, idle_timeout_seconds=300)

    hello, error, done = events(await world.content())

    assert hello == chunk("Hello")
    assert error["error"]["code"] == "upstream_timeout"
    assert error["error"]["type"] == "upstream_error"
    assert done == "[DONE]"
    assert 300 <= now() <= 310
    assert answer.body.is_cancelled
    assert world.usage["outcome"] == "upstream_timeout"


@virtual
async def test_a_slow_stream_is_not_given_up() -> None:
    pieces = [step for number in range(20) for step in (290.0, text(f"{number} "))]
    world = World(StreamResponse(*pieces, FINISH + DONE), idle_timeout_seconds=300)

    assert content((await world.content()).replace(KEEP_ALIVE, b"")) == "".join(f"{n} " for n in range(20))
    assert world.usage["outcome"] == "completed"


@virtual
async def test_a_broken_stream_ends_with_an_error() -> None:
    world = World(StreamResponse(text("Hello"), 0.1, text(" wor"), StreamBroken()))

    stream = await world.content()

    assert events(stream)[-2]["error"]["code"] == "stream_failed"
    assert stream.endswith(DONE)
    assert stream.count(DONE) == 1


@virtual
async def test_a_stream_that_ends_early_ends_with_an_error() -> None:
    stream = await World(StreamResponse(text("Hello"), 3.0, text(" wor"))).content()

    assert events(stream)[-2]["error"]["code"] == "stream_truncated"


@pytest.mark.parametrize("pause", [0.0, 0.6, 5.0])
@virtual
async def test_a_missing_done_is_added(pause: float) -> None:
    world = World(StreamResponse(text("Hello"), FINISH, pause))

    assert await world.content() == text("Hello") + FINISH + DONE


def misread(stream: bytes) -> bytes:
    """The same events in a framing that clients misread."""
    return stream.replace(b"data: ", b"id:1\nevent:result\ndata:")


@virtual
async def test_what_a_client_would_misread_is_repaired() -> None:
    odd = misread(WHOLE)
    answer = StreamResponse(*(odd[place : place + 5] for place in range(0, len(odd), 5)))
    world = World(answer)

    pipe = await world.begin()

    assert await pipe.content() == WHOLE
    assert pipe.is_translated


@virtual
async def test_a_stalled_repaired_stream_is_given_up() -> None:
    answer = StreamResponse(misread(text("Hello")), 10_000.0)
    world = World(answer, idle_timeout_seconds=300)

    assert events(await world.content())[-2]["error"]["code"] == "upstream_timeout"
    assert 300 <= now() <= 380
    assert answer.body.is_cancelled


@virtual
async def test_the_upstream_is_closed_when_a_repaired_stream_is_over() -> None:
    answer = StreamResponse(misread(WHOLE), 10_000.0)

    assert await World(answer).content() == WHOLE
    assert answer.body.is_cancelled
    assert now() < 1


@pytest.mark.parametrize("is_repaired", [False, True])
@virtual
async def test_one_line_tells_what_became_of_the_stream(is_repaired: bool) -> None:
    pieces = (text("a secret"), FINISH + USAGE_CHUNK + DONE)
    first, second = map(misread, pieces) if is_repaired else pieces
    world = World(StreamResponse(0.5, first, 2.0, second))

    stream = await world.content(include_usage=True)

    assert world.usage == {
        "level": "info",
        "event": "stream ended",
        "request_id": "request-1",
        "account": "first",
        "client": "anyone",
        "model": "qwen3-coder-plus",
        "usage": USAGE,
        "finish_reason": "stop",
        "bytes": len(stream),
        "time_to_first_byte_ms": 500,
        "duration_ms": 2500,
        "outcome": "completed",
    }
    assert "a secret" not in world.log.text


@virtual
async def test_a_long_stream_costs_few_looks_and_bounded_memory() -> None:
    pieces = [step for _ in range(600) for step in (text("word "), 1.0)]
    world = World(StreamResponse(*pieces, FINISH + DONE))

    pipe = await world.begin()
    await pipe.content()

    assert 60 <= pipe.looks <= 100
    assert pipe.most_unseen < 10 * len(text("word "))


@virtual
async def test_a_bug_of_ours_is_told_without_its_words() -> None:
    class Broken(MemoryPipe):
        async def _relay_rest(self, source: Any) -> None:
            raise RuntimeError("secret words")

    world = World(StreamResponse(WHOLE), open_pipe=Broken)

    *_, error, done = events(await world.content())

    assert error["error"]["code"] == "internal_error"
    assert done == "[DONE]"
    assert "secret words" not in world.log.text
    assert [line["exception"] for line in world.log.events("unexpected error")] == ["RuntimeError"]
