"""Whole answers: read, checked and only then sent. What is no answer is an error, and the next account's."""

import json
from typing import Any

import pytest

from qwen_worker.platform.ports import FetchError, FetchTimeout, StreamBroken
from qwen_worker.upstream.whole_answer import CHECKED_BYTES
from tests.support.clock import virtual
from tests.support.one_account import OneAccount
from tests.support.ports import ScriptedResponse
from tests.support.several_accounts import LABELS, World, error_of

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
COMPLETION = {"id": "c1", "object": "chat.completion", "choices": [CHOICE], "usage": USAGE}
GOOD = json.dumps(COMPLETION).encode()
THROTTLED = {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded."}
NO_MODEL = {"code": "model_not_found", "message": "The model does not exist."}
INSPECTED = {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."}


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{**CHOICE, **fields}]}


def said(content: str) -> dict[str, Any]:
    return choice(finish_reason="error_finish", message={"role": "assistant", "content": content})


BAD: dict[str, tuple[Any, int, str]] = {
    "cut off": (GOOD[:-5], 502, "upstream_unavailable"),
    "cut off at once": (b"{", 502, "upstream_unavailable"),
    "not JSON": (b"{choices: []}", 502, "upstream_unavailable"),
    "not UTF-8": (GOOD.replace(b"hi", b"\xff"), 502, "upstream_unavailable"),
    "too deep": (b'{"choices":' + b"[" * 600 + b"]" * 600 + b"}", 502, "upstream_unavailable"),
    "empty": (b"", 502, "upstream_error"),
    "blank": (b" \n", 502, "upstream_error"),
    "words": (b"Service is being upgraded", 502, "upstream_blocked"),
    "a page": (b"<!doctype html><html></html>", 502, "upstream_blocked"),
    "a compressed page": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", 502, "upstream_blocked"),
    "null": (b"null", 502, "upstream_blocked"),
    "a list": (b"[]", 502, "upstream_blocked"),
    "no choices": ({"id": "c1", "object": "chat.completion"}, 502, "upstream_blocked"),
    "null choices": ({**COMPLETION, "choices": None}, 502, "upstream_blocked"),
    "empty choices": ({**COMPLETION, "choices": []}, 502, "upstream_blocked"),
    "odd choices": ({**COMPLETION, "choices": ["hi"]}, 502, "upstream_blocked"),
    "an error": ({"error": THROTTLED}, 429, "rate_limit_exceeded"),
    "an error beside choices": ({**COMPLETION, "error": THROTTLED}, 429, "rate_limit_exceeded"),
    "a flat error": ({"request_id": "r-1", **THROTTLED}, 429, "rate_limit_exceeded"),
    "a flat error with null choices": ({"choices": None, **THROTTLED}, 429, "rate_limit_exceeded"),
    "an error with a status": ({"error": {"code": 503, "message": "Busy."}}, 502, "upstream_unavailable"),
    "an error in words": ({"error": "the model crashed"}, 502, "upstream_unavailable"),
    "a model that is missing": ({"error": NO_MODEL}, 404, "model_not_found"),
    "error_finish": (said(json.dumps({"error": THROTTLED})), 429, "rate_limit_exceeded"),
    "error_finish, flat": (said(json.dumps(THROTTLED)), 429, "rate_limit_exceeded"),
    "error_finish in words": (said("Insufficient quota exceeded"), 429, "insufficient_quota"),
    "error_finish without words": (said(""), 502, "upstream_unavailable"),
    "error_finish of another choice": (
        {"choices": [CHOICE, *said(json.dumps(THROTTLED))["choices"]]},
        429,
        "rate_limit_exceeded",
    ),
    "a long error": (
        {"error": {**THROTTLED, "details": "x" * 200_000}},
        429,
        "rate_limit_exceeded",
    ),
}


def answered(body: Any, content_type: str = "application/json") -> ScriptedResponse:
    return ScriptedResponse(200, body, {"content-type": content_type, "x-request-id": "qwen-1"})


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_answer_has_its_own_status(name: str) -> None:
    body, status, code = BAD[name]
    qwen = OneAccount(answered(body))

    told = await qwen.post()

    assert (told.status, told.error["code"]) == (status, code)
    assert qwen.logs.events("completion ended") == []


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_answer_moves_the_request_to_the_next_account(name: str) -> None:
    world = World(a=answered(BAD[name][0]), b=answered(GOOD))

    response = await world.chat()

    assert (response.status, response.body) == (200, GOOD)
    assert world.asked == ["a", "b"]
    assert response.headers["x-qwen-account"] == LABELS["b"]


async def test_the_clients_own_mistake_in_a_200_goes_back_to_the_client() -> None:
    world = World(a=answered({"error": INSPECTED}))

    response = await world.chat()

    assert (response.status, error_of(response)["code"]) == (400, "content_filter")
    assert world.asked == ["a"]


@pytest.mark.parametrize("failure", [FetchError(), FetchTimeout()])
async def test_an_answer_that_breaks_or_never_ends_is_no_answer(failure: Exception) -> None:
    class Breaking(ScriptedResponse):
        async def whole(self, limit_bytes: int) -> Any:
            raise failure

    broken = Breaking(200, GOOD)
    told = await OneAccount(broken).post()

    assert told.status == (504 if isinstance(failure, FetchTimeout) else 502)
    assert not broken.has_timeout


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (GOOD, "text/plain"),
        (GOOD, "text/html"),
        (GOOD, ""),
        (b" \n" + GOOD + b"\n", "application/json"),
        (b"\xef\xbb\xbf" + GOOD, "application/json"),
        (GOOD.replace(b'"id": "c1"', b'"x": 1.50, "x": 1e400, "e": "\\ud800"'), "application/json"),
        (json.dumps({**COMPLETION, "error": None, "code": "200", "message": "ok"}).encode(), "text/plain"),
        (json.dumps(choice(message={"content": "x" * 3_000_000})).encode(), "application/json"),
    ],
)
async def test_a_good_answer_goes_on_as_the_very_bytes_that_came(body: bytes, content_type: str) -> None:
    told = await OneAccount(answered(body, content_type)).post()

    assert told.data == body
    assert told.status == 200
    assert told.headers["content-type"] == "application/json"
    assert told.headers["x-upstream-request-id"] == "qwen-1"


async def test_one_line_tells_what_became_of_the_answer() -> None:
    qwen = OneAccount(answered(GOOD), LOG_LEVEL="info")

    await qwen.post({"model": "qwen3-max", "messages": [{"role": "user", "content": "a secret"}]})

    [line] = qwen.logs.events("completion ended")
    assert {
        name: line[name] for name in ("level", "model", "usage", "finish_reason", "bytes", "outcome")
    } == {
        "level": "info",
        "model": "qwen3-max",
        "usage": USAGE,
        "finish_reason": "stop",
        "bytes": len(GOOD),
        "outcome": "completed",
    }
    assert line["duration_ms"] >= 0
    assert "a secret" not in qwen.logs.text


@virtual
async def test_an_answer_too_long_to_be_read_goes_on_natively() -> None:
    long = json.dumps(choice(message={"content": "x" * CHECKED_BYTES})).encode()
    answer = ScriptedResponse(200, long)
    qwen = OneAccount(answer)

    told = await qwen.post()

    assert told.data == long
    assert told.headers["content-type"] == "application/json"
    assert not answer.has_timeout
    assert [line["outcome"] for line in qwen.logs.events("completion ended")] == ["completed"]


@virtual
async def test_a_long_answer_that_breaks_does_not_count_as_complete() -> None:
    long = b'{"choices":[{"message":{"content":"' + b"x" * CHECKED_BYTES
    answer = ScriptedResponse(200, long, then=(1.0, StreamBroken()))
    qwen = OneAccount(answer)

    told = await qwen.post()

    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(told.data)
    [line] = qwen.logs.events("completion ended")
    assert (line["level"], line["outcome"]) == ("warning", "stream_failed")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("name", BAD)
async def test_no_other_api_takes_it_for_an_answer(path: str, name: str) -> None:
    question = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "model": "qwen3-max"}
    body = {"input": "hi"} if path == "/v1/responses" else question
    qwen = OneAccount(answered(BAD[name][0]), QWEN_BASE_URL="https://host.example/v1")

    assert (await qwen.post(body, path)).status == BAD[name][1]
