"""How a stream ends, as openai-python judges it: a broken one never looks complete where that can be helped.

docs/streams.md says which streams are relayed natively, and what their clients see. Repaired are those with
several choices, and those with tools from a host that is not Qwen's own.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import embedded_only

MODEL = "qwen3-coder-plus"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}

pytestmark = embedded_only()


@pytest.fixture(scope="module")
def worker(simulator: QwenSimulator) -> Iterator[DirectWorker]:
    """A Worker in front of a host that is not Qwen's own."""
    running = DirectWorker(
        {
            "QWEN_API_KEY": DEFAULT_API_KEY,
            "QWEN_BASE_URL": simulator.api_url,
            "CLIENT_KEYS": CLIENT_KEY,
            "LOG_LEVEL": "info",
        }
    )
    yield running
    running.stop()


@pytest.fixture
def client(worker: DirectWorker) -> Iterator[OpenAI]:
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as running:
        yield running


def chunk(
    content: str | None = None, finish: str | None = None, *, index: int = 0, **delta: Any
) -> dict[str, Any]:
    delta = delta if content is None else {"content": content, **delta}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


def event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


DONE = "data: [DONE]\n\n"
HELLO = event(chunk("Hello"))
FINISH = event(chunk(finish="stop"))
ERROR_FINISH = event(chunk("Broke down.", "error_finish"))
FLAT = event({"code": "InternalError", "message": "Broke down.", "request_id": "r-1"})
NAMED_FLAT = f"id:9\nevent:error\n:HTTP_STATUS/500\n{FLAT}"
ERROR = event({"error": {"code": "x", "message": "Broke down."}})
OTHER_CHOICE = event(chunk("Hello", index=1))
REPAIRED = {"tools": [TOOL]}
TWO = {"n": 2}


def stream(client: OpenAI, events: list[str], **body: Any) -> Iterator[ChatCompletionChunk]:
    extra = {**body, "simulate": {"raw": events, "write_delay_ms": 50}}
    return iter(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, extra_body=extra))


def outcome(worker: DirectWorker, events: list[str], **body: Any) -> str:
    """What the log says of such a stream."""
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={"model": MODEL, "messages": MESSAGES, "stream": True, **body, "simulate": {"raw": events}},
        timeout=20,
    )
    assert response.text.endswith(DONE)
    assert response.text.count("[DONE]") == 1
    line = worker.log.wait_for("stream ended", request_id=response.headers["x-request-id"])
    return str(line["outcome"])


BROKEN: dict[str, tuple[list[str], dict[str, Any], str]] = {
    # name: (events, more of the body, outcome)
    "error_finish": ([HELLO, ERROR_FINISH], {}, "stream_failed"),
    "flat error": ([HELLO, FLAT], {}, "stream_failed"),
    "flat error with its name": ([HELLO, NAMED_FLAT], {}, "stream_failed"),
    "error": ([HELLO, ERROR], {}, "stream_failed"),
    "error, [DONE]": ([HELLO, ERROR, DONE], {}, "stream_failed"),
    "no finish reason": ([HELLO], {}, "stream_truncated"),
    "repaired: error_finish, [DONE]": ([HELLO, ERROR_FINISH, DONE], REPAIRED, "stream_failed"),
    "repaired: flat error, [DONE]": ([HELLO, FLAT, DONE], REPAIRED, "stream_failed"),
    "repaired: named flat error, [DONE]": ([HELLO, NAMED_FLAT, DONE], REPAIRED, "stream_failed"),
    "repaired: error, [DONE]": ([HELLO, ERROR, DONE], REPAIRED, "stream_failed"),
    "repaired: no finish reason, [DONE]": ([HELLO, DONE], REPAIRED, "stream_truncated"),
    "repaired: no finish reason": ([HELLO], REPAIRED, "stream_truncated"),
    "two choices, one unfinished, [DONE]": ([HELLO, OTHER_CHOICE, FINISH, DONE], TWO, "stream_truncated"),
    "two choices, one unfinished": ([HELLO, OTHER_CHOICE, FINISH], TWO, "stream_truncated"),
    "two choices, one broken, [DONE]": (
        [HELLO, OTHER_CHOICE, event(chunk("no", "error_finish", index=1)), FINISH, DONE],
        TWO,
        "stream_failed",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_raises(worker: DirectWorker, client: OpenAI, name: str) -> None:
    events, body, expected = BROKEN[name]
    seen: list[ChatCompletionChunk] = []

    with pytest.raises(APIError) as raised:
        seen.extend(stream(client, events, **body))

    assert seen[0].choices[0].delta.content == "Hello"
    assert (
        "Broke down." in str(raised.value) or expected in str(raised.value.code) or "no" in str(raised.value)
    )
    assert outcome(worker, events, **body) == expected


def test_what_a_client_sees_where_native_relaying_has_let_done_out(
    worker: DirectWorker, client: OpenAI
) -> None:
    """No SDK reads on behind `[DONE]`. What each can tell it by is told in docs/streams.md."""
    *_, last = stream(client, [HELLO, ERROR_FINISH, DONE])
    assert str(last.choices[0].finish_reason) == "error_finish"
    assert outcome(worker, [HELLO, ERROR_FINISH, DONE]) == "stream_failed"

    *_, last = stream(client, [HELLO, FLAT, DONE])
    assert not last.choices, "the SDK's own word for it is None"
    assert outcome(worker, [HELLO, FLAT, DONE]) == "stream_failed"

    seen = list(stream(client, [HELLO, DONE]))
    assert [choice.finish_reason for each in seen for choice in each.choices] == [None]
    assert outcome(worker, [HELLO, DONE]) == "stream_truncated"


@pytest.mark.parametrize("body", [{}, REPAIRED, TWO], ids=["native", "repaired", "two choices"])
@pytest.mark.parametrize("end", [[FINISH, DONE], [FINISH]], ids=["[DONE]", "clean end"])
def test_a_whole_stream_does_not(
    worker: DirectWorker, client: OpenAI, body: dict[str, Any], end: list[str]
) -> None:
    other = [OTHER_CHOICE, event(chunk(finish="stop", index=1))] if body is TWO else []

    seen = list(stream(client, [HELLO, *other, *end], **body))

    assert seen[0].choices[0].delta.content == "Hello"
    assert outcome(worker, [HELLO, *other, *end], **body) == "completed"


# --- repairs


def call_chunk(**fragment: Any) -> dict[str, Any]:
    return chunk(tool_calls=[fragment])


def two_calls(
    finish: str = "tool_calls", later: dict[str, Any] | None = None, function: Any = None
) -> list[dict[str, Any]]:
    """Two calls, whose later fragments have `later`, and `function` besides the arguments."""
    chunks = []
    for index, city in enumerate(("Oslo", "Rome")):
        first = {"name": "get_weather", "arguments": '{"city":'}
        chunks.append(call_chunk(index=index, id=f"call-{index}", type="function", function=first))
        rest = {"arguments": f'"{city}"}}', **(function or {})}
        chunks.append(call_chunk(index=index, **(later or {}), function=rest))
    return [*chunks, chunk(finish=finish)]


def without_index(chunks: list[dict[str, Any]], index: int | None) -> list[dict[str, Any]]:
    """The same chunks, all fragments with this index or none."""
    for each in chunks[:-1]:
        [fragment] = each["choices"][0]["delta"]["tool_calls"]
        del fragment["index"]
        if index is not None:
            fragment["index"] = index
    return chunks


def with_empty_finish_reason(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for each in chunks[:-1]:
        each["choices"][0]["finish_reason"] = ""
    return chunks


ODDITIES = {
    "none": two_calls(),
    "no index": without_index(two_calls(), None),
    "all have index 0": without_index(two_calls(), 0),
    "a restated name of null": two_calls(function={"name": None}),
    "the calls end in stop": two_calls("stop"),
    "an empty finish reason for null": with_empty_finish_reason(two_calls()),
    "all of them": with_empty_finish_reason(without_index(two_calls("stop", function={"name": None}), None)),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_tool_calls_are_readable_whatever_the_host(client: OpenAI, oddity: str) -> None:
    """`.stream()` of openai-python breaks at each but the last two; agents go by the finish reason."""
    raw = [*(event(each) for each in ODDITIES[oddity]), DONE]
    extra = {"simulate": {"raw": raw}}
    tool: Any = TOOL

    with client.chat.completions.stream(
        model=MODEL, messages=MESSAGES, tools=[tool], extra_body=extra
    ) as helper:
        reasons = [each.chunk.choices[0].finish_reason for each in helper if each.type == "chunk"]
        completion = helper.get_final_completion()

    calls = completion.choices[0].message.tool_calls or []
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("get_weather", {"city": "Oslo"}),
        ("get_weather", {"city": "Rome"}),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert reasons == [None] * (len(reasons) - 1) + ["tool_calls"]


def test_a_stream_that_begins_oddly_is_repaired_without_tools_in_the_request(client: OpenAI) -> None:
    chunks = [chunk("Hello", ""), chunk(" world", ""), chunk(finish="stop")]

    seen = list(stream(client, [*(event(each) for each in chunks), DONE]))

    assert [each.choices[0].finish_reason for each in seen] == [None, None, "stop"]
