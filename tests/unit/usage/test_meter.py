"""What of a request is counted, through the whole gateway."""

import asyncio
import json
from typing import Any

import pytest

from qwen_worker.usage.ledger import MOST_MODELS
from tests.support.clock import virtual
from tests.support.database import SqliteDatabase
from tests.support.ports import ScriptedResponse
from tests.support.usage_gateway import UsageGateway, completion

CHUNK = (
    b'data: {"choices":[{"index":0,"delta":{"content":"some words of an answer "},"finish_reason":null}]}\n\n'
)
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
DONE = b"data: [DONE]\n\n"
EVENT_STREAM = {"content-type": "text/event-stream"}


def sse(*pieces: bytes) -> ScriptedResponse:
    return ScriptedResponse(200, b"".join(pieces), EVENT_STREAM)


async def counted(answer: Any, path: str = "/v1/chat/completions", **body: Any) -> dict[str, Any]:
    """The one row that one request makes, without zeros and times."""
    gateway = UsageGateway(
        lambda _: answer,
        database=SqliteDatabase(),
        CLIENT_KEYS="alice=key-1",
        QWEN_BASE_URL="https://chat-only.example/v1",
    )
    request = {"model": "qwen3-max", "messages": [{"role": "user", "content": "Say hello."}], **body}
    await gateway.ask("key-1", "POST", path, body=request)
    await asyncio.sleep(1)  # a stream is counted behind its end
    await gateway.background.finished()
    assert gateway.database is not None
    [row] = gateway.database.query("SELECT * FROM usage")
    return {name: value for name, value in row.items() if value and not name.endswith("_ms")}


PLACE = {
    "day": "2027-01-15",
    "hour": 8,
    "client": "alice",
    "account": "QWEN_API_KEY",
    "model": "qwen3-max",
    "api": "chat",
    "requests": 1,
}


@virtual
async def test_a_whole_answer() -> None:
    row = await counted(ScriptedResponse(200, completion(10, 5)))
    assert row == {**PLACE, "completed": 1, "input_tokens": 10, "output_tokens": 5}


@virtual
async def test_a_stream_that_tells_its_usage() -> None:
    row = await counted(sse(CHUNK, FINISH, USAGE, DONE), stream=True, stream_options={"include_usage": True})
    assert row == {**PLACE, "completed": 1, "streams": 1, "input_tokens": 7, "output_tokens": 3}


@virtual
async def test_of_several_prompts_each_is_estimated() -> None:
    one = await counted(sse(CHUNK, FINISH, DONE), "/v1/completions", prompt="word " * 90, stream=True)
    three = await counted(sse(CHUNK, FINISH, DONE), "/v1/completions", prompt=["word " * 90] * 3, stream=True)

    assert three["requests"] == three["streams"] == three["completed"] == 1
    for name in ("estimated_input_tokens", "estimated_output_tokens"):
        assert three[name] == pytest.approx(3 * one[name], rel=0.2), name


@virtual
async def test_a_stream_that_tells_nothing_is_estimated_in_columns_of_its_own() -> None:
    row = await counted(sse(CHUNK * 20, FINISH, DONE), stream=True)
    assert row.pop("estimated_output_tokens") == pytest.approx(100, rel=0.15)
    assert row.pop("estimated_input_tokens") == pytest.approx(13, abs=3)
    assert row == {**PLACE, "completed": 1, "streams": 1}


@virtual
async def test_a_stream_that_breaks() -> None:
    row = await counted(sse(CHUNK * 3), stream=True)
    assert row["upstream_errors"] == 1
    assert "completed" not in row
    assert row["estimated_output_tokens"] > 10


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
@virtual
async def test_other_apis_count_under_their_names(path: str) -> None:
    body: dict[str, Any] = {"stream": True, "max_tokens": 50} if path == "/v1/messages" else {"input": "Hi"}
    answer = (
        sse(CHUNK, FINISH, USAGE, DONE) if path == "/v1/messages" else ScriptedResponse(200, completion(7, 3))
    )
    row = await counted(answer, path, **body)
    assert row["api"] == path[4:]
    assert (row["input_tokens"], row["output_tokens"]) == (7, 3)
    assert "estimated_input_tokens" not in row


@pytest.mark.parametrize(
    ("status", "column"),
    [(400, "client_errors"), (429, "limit_errors"), (500, "upstream_errors"), (401, "gateway_errors")],
)
@virtual
async def test_errors_count_by_whose_fault_they_are(status: int, column: str) -> None:
    answer = ScriptedResponse(status, {"error": {"message": "no", "code": "x"}})
    row = await counted(answer)
    assert row.pop(column) == 1
    row.pop("account", None)
    assert row == {**{name: PLACE[name] for name in PLACE if name != "account"}, "model": "(other)"}


@virtual
async def test_a_body_that_is_refused_counts_too() -> None:
    row = await counted(None, messages=[])
    assert (row["requests"], row["client_errors"]) == (1, 1)
    assert row.get("account", "") == ""


@virtual
async def test_what_nobody_is_known_for_is_not_counted() -> None:
    database = SqliteDatabase()
    gateway = UsageGateway(database=database, CLIENT_KEYS="alice=key-1", ADMIN_KEY="admin-key")
    assert (await gateway.chat("wrong")).status == 401
    assert (await gateway.chat("admin-key")).status == 403
    await gateway.ask("key-1", "GET", "/v1/models")
    await gateway.ask("key-1", "GET", "/health")
    await gateway.background.finished()
    assert database.writes == 0


@virtual
async def test_names_that_nobody_knows_make_no_rows_of_their_own() -> None:
    database = SqliteDatabase()
    gateway = UsageGateway(
        lambda _: ScriptedResponse(404, {"error": {"message": "no", "code": "model_not_found"}}),
        database=database,
        CLIENT_KEYS="alice=key-1",
    )
    for number in range(20):
        await gateway.chat("key-1", f"made-up-{number}")
    await gateway.chat("key-1", "qwen3-coder-plus")
    await gateway.background.finished()
    assert [row["model"] for row in database.query("SELECT DISTINCT model FROM usage ORDER BY 1")] == [
        "(other)",
        "qwen3-coder-plus",
    ]


@virtual
async def test_no_secret_and_no_text_is_stored_or_logged() -> None:
    database = SqliteDatabase()
    gateway = UsageGateway(
        database=database, CLIENT_KEYS="alice=secret-key-1,secret-key-2", LOG_LEVEL="debug"
    )
    for key in ("secret-key-1", "secret-key-2"):
        await gateway.chat(key, messages=[{"role": "user", "content": "a private question"}])
    await gateway.background.finished()
    stored = repr(database.query("SELECT * FROM usage"))
    for text in ("secret-key", "private", "an answer", "upstream-key-1"):
        assert text not in stored + gateway.logs.text
    assert {line["client"] for line in gateway.logs.events("completion ended")} >= {"alice"}


@virtual
async def test_embeddings_that_need_several_requests_count_once_with_all_their_inputs() -> None:
    def answer(request: Any) -> ScriptedResponse:
        texts = json.loads(request.body)["input"]
        data = [{"object": "embedding", "index": n, "embedding": [0.5]} for n in range(len(texts))]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return ScriptedResponse(200, {"object": "list", "data": data, "model": "m", "usage": usage})

    database = SqliteDatabase()
    gateway = UsageGateway(answer, database=database, CLIENT_KEYS="alice=key-1")
    body = {"model": "text-embedding-v4", "input": ["a text"] * 25}
    response = await gateway.ask("key-1", "POST", "/v1/embeddings", body=body)
    assert response.status == 200
    await gateway.background.finished()
    [row] = database.query("SELECT api, requests, completed, inputs, input_tokens, output_tokens FROM usage")
    assert tuple(row.values()) == ("embeddings", 1, 1, 25, 25, 0)


@virtual
async def test_a_host_that_takes_any_name_does_not_fill_the_table() -> None:
    database = SqliteDatabase()
    gateway = UsageGateway(database=database, CLIENT_KEYS="alice=key-1")
    for number in range(MOST_MODELS + 20):
        await gateway.chat("key-1", f"made-up-{number}")
    await gateway.background.finished()
    assert database.total("requests", "model = '(other)'") == 20
    assert len(database.query("SELECT * FROM usage")) == MOST_MODELS + 1


@virtual
async def test_a_refusal_is_logged_with_the_label() -> None:
    gateway = UsageGateway(database=None, CLIENT_KEYS="alice=key-1")
    await gateway.chat("key-1", messages=[])
    await gateway.chat("wrong")
    assert [line["client"] for line in gateway.logs.events("request failed")] == ["alice", None]
