"""Whatever an upstream says, and wherever: no secret of this gateway comes out in a body, a header or a log.

The API's answers may quote the credential that they refuse. Completions are passed on as they are; what is
relayed natively in the middle of a stream is too (docs/streams.md).
"""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chunks import DONE, FINISH, chunk, event, text
from tests.support.clock import run_virtual
from tests.support.one_account import OneAccount, Told
from tests.support.ports import ScriptedResponse
from tests.support.streams import StreamResponse

CLIENT_KEY = "Client-Hush-Alpha"
API_KEY = "aliyun.Hush+Beta/9"
OTHER_KEY = "OtherHushGamma"
ACCESS_TOKEN = "AccessHushDelta_7"
REFRESH_TOKEN = "RefreshHushEpsilon-8"
SECRETS = (CLIENT_KEY, API_KEY, OTHER_KEY, ACCESS_TOKEN, REFRESH_TOKEN)

LOGIN = json.dumps(
    {"access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN, "expiry_date": 1_900_000_000_000}
)
KEYS = {"QWEN_API_KEY": API_KEY, "QWEN_API_KEY_2": OTHER_KEY, "QWEN_CLI_AUTH": LOGIN}
VARIABLES = {**KEYS, "CLIENT_KEYS": CLIENT_KEY, "QWEN_BASE_URL": "https://host.example/v1"}

Answer = Callable[[str], Any]
"""Makes an answer with a secret in it."""

HEADERS = (
    *("x-request-id", "x-dashscope-request-id", "request_id", "request-id", "retry-after", "retry-after-ms"),
    *("x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    *("location", "www-authenticate", "server", "set-cookie", "x-hush", "content-type", "via"),
)
FIELDS = ("message", "code", "type", "param", "request_id", "status", "detail", "error_description", "x")
STATUSES = (200, 302, 400, 401, 403, 404, 405, 413, 429, 500, 504)


def envelope(form: str, field: str, word: str) -> dict[str, Any]:
    """An error with a word in one of its fields."""
    error = {"message": "Rejected.", "code": "some_code", field: word}
    if form == "flat":
        return {"request_id": "r-1", **error}
    if form == "text":
        return {"error": word, "message": word}
    return {form: error, "request_id": word if field == "request_id" else "r-1"}


BODIES: dict[str, Answer] = {
    **{
        f"{form}.{field}": lambda word, form=form, field=field: envelope(form, field, word)  # type: ignore[misc]
        for form, field in itertools.product(("error", "errors", "flat", "text"), FIELDS)
    },
    "page": lambda word: f"<html><body>{word}</body></html>",
    "words": lambda word: f"Forbidden: {word}",
    "cut off": lambda word: f'{{"error":{{"message":"{word}',
    "list": lambda word: json.dumps([{"error": {"message": word, "code": word}}]),
    "error_finish": lambda word: {
        "id": word,
        "choices": [{"finish_reason": "error_finish", "message": {"content": f'{{"code":"{word}"}}'}}],
    },
}
FIRST_EVENTS: dict[str, Answer] = {
    **{
        f"{form}.{field}": lambda word, form=form, field=field: event(envelope(form, field, word))  # type: ignore[misc]
        for form, field in itertools.product(("error", "flat", "text"), FIELDS)
    },
    "comment": lambda word: f":HTTP_STATUS/429 {word}\n".encode() + event({"code": word, "message": word}),
    "error_finish": lambda word: event(chunk(f"no: {word}", finish="error_finish", id=word)),
    "error_finish in JSON": lambda word: event(
        chunk(json.dumps({"error": {"code": word}}), finish="error_finish")
    ),
    "names": lambda word: f"event: {word}\nid: {word}\n".encode() + event({"code": "x", "message": word}),
    "no chunk": lambda word: event({"hush": word}),
    "no JSON": lambda word: f"data: {word}\n\n".encode(),
}

PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "/v1/completions": {"prompt": "hello"},
    "/v1/responses": {"input": "hello"},
    "/v1/messages": {
        "model": "qwen3-max",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
    },
}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def spellings(secret: str) -> tuple[str, ...]:
    return secret, secret.upper(), secret.lower(), f"the key {secret}, {secret.swapcase()}."


async def told_by(answer: Any, path: str = "/v1/chat/completions", **body: Any) -> tuple[Told, str]:
    """What the client is told, and what is logged, when every account answers so."""
    qwen = OneAccount(answer, **VARIABLES)
    told = await qwen.post(
        {**PATHS[path], **body}, path, {"authorization": f"Bearer {CLIENT_KEY}", "x-request-id": "req-1"}
    )
    return told, qwen.logs.text


def is_quiet(words: str) -> bool:
    return "hush" not in words.lower()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [False, True])
def test_no_body_of_an_error_tells_a_secret(path: str, stream: bool) -> None:
    async def run() -> None:
        cases = [
            *((API_KEY, status) for status in STATUSES),
            *((secret, status) for secret in SECRETS for status in (200, 400)),
        ]
        for (secret, status), (place, make) in itertools.product(cases, BODIES.items()):
            for word in spellings(secret)[: 4 if (secret, status) == (API_KEY, 400) else 1]:
                answer = ScriptedResponse(status, make(word), {"x-request-id": word})
                told, logged = await told_by(lambda _, a=answer: a, path, stream=stream)
                assert told.status >= 400, (place, status)
                assert is_quiet(told.text), (place, status, told)
                assert is_quiet(logged), (place, status, logged)

    run_virtual(run())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("header", HEADERS)
def test_no_header_tells_a_secret(header: str, stream: bool) -> None:
    good = {"id": "c", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}

    async def run() -> None:
        for secret, status in itertools.product(SECRETS, (200, 302, 400, 401, 429, 503)):
            for word in spellings(secret):
                headers = {"content-type": "text/event-stream" if stream else "text/plain", header: word}
                answer: Any = ScriptedResponse(status, json.dumps({"error": {"message": "no"}}), headers)
                if status == 200:
                    whole = StreamResponse(text("hi") + FINISH + DONE, headers=headers)
                    answer = whole if stream else ScriptedResponse(200, json.dumps(good), headers)
                told, logged = await told_by(lambda _, a=answer: a, stream=stream)
                assert is_quiet(told.text)
                assert is_quiet(logged)

    run_virtual(run())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", FIRST_EVENTS)
def test_no_first_event_tells_a_secret(path: str, place: str) -> None:
    async def run() -> None:
        for secret in SECRETS:
            for word in spellings(secret):
                answer = FIRST_EVENTS[place](word)
                told, logged = await told_by(
                    lambda _, a=answer: StreamResponse(a, text("x")), path, stream=True
                )
                assert is_quiet(told.text), told
                assert is_quiet(logged), logged

    run_virtual(run())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", [place for place in FIRST_EVENTS if "error_finish" not in place])
def test_no_error_in_the_middle_of_a_translated_stream_tells_a_secret(path: str, place: str) -> None:
    """The text of an `error_finish` chunk is an error too: see the next test."""

    async def run() -> None:
        tools = {"tools": TOOLS} if path == "/v1/chat/completions" else {}
        for secret in SECRETS:
            for word in spellings(secret):
                middle = FIRST_EVENTS[place](word)
                answer = (text("hello"), middle, DONE)
                told, logged = await told_by(
                    lambda _, a=answer: StreamResponse(*a), path, stream=True, **tools
                )
                assert told.status == 200
                assert b"hello" in told.data
                assert is_quiet(told.text), told
                assert is_quiet(logged), logged

    run_virtual(run())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("place", ["error_finish", "error_finish in JSON"])
def test_no_error_finish_in_a_translated_stream_tells_a_secret(path: str, place: str) -> None:
    tools = {"tools": TOOLS} if path == "/v1/chat/completions" else {}

    async def run() -> None:
        answer = (text("hello"), FIRST_EVENTS[place](API_KEY), DONE)
        told, logged = await told_by(lambda _: StreamResponse(*answer), path, stream=True, **tools)
        assert is_quiet(told.text + logged)

    run_virtual(run())


@pytest.mark.parametrize("place", FIRST_EVENTS)
def test_no_log_tells_what_is_relayed_natively(place: str) -> None:
    async def run() -> None:
        for word in spellings(API_KEY):
            answer = (text("hello"), FIRST_EVENTS[place](word))
            for ending in (b"", DONE, FINISH + DONE):
                _, logged = await told_by(lambda _, a=(*answer, ending): StreamResponse(*a), stream=True)
                assert is_quiet(logged), logged

    run_virtual(run())


FACTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "finish_reason": lambda word: {"finish_reason": word},
    "usage": lambda word: {"usage": {"prompt_tokens": word, "total_tokens": 3}},
    "usage's name": lambda word: {"usage": {word: 1, "total_tokens": 3}},
    "usage, deep": lambda word: {"usage": {"details": {"deeper": {"still": {word: word}}, word: word}}},
    "usage, a list": lambda word: {"usage": {"prompt_tokens": [word], "total_tokens": True}},
    "usage, a text": lambda word: {"usage": word},
    "model": lambda word: {"model": word},
    "id": lambda word: {"id": word},
}


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_the_facts_of_an_answer_are_logged_without_words(path: str, fact: str, stream: bool) -> None:
    """Neither a secret nor what a model or a prompt may say."""

    async def run() -> None:
        for word in (*SECRETS, API_KEY.upper(), "some Hush of a completion", "x" * 300 + "hush", "hush\n"):
            fields = FACTS[fact](word)
            finish = fields.pop("finish_reason", "stop")
            told_choice = {"index": 0, "message": {"content": "hi"}, "finish_reason": finish}
            answer: Any = ScriptedResponse(200, {"id": "c", "choices": [told_choice], **fields})
            if stream:
                answer = StreamResponse(text("hi"), event(chunk(finish=finish, **fields)), DONE)
            told, logged = await told_by(lambda _, a=answer: a, path, stream=stream)
            assert told.status == 200
            assert is_quiet(logged), logged
            [line] = [
                json.loads(each) for each in logged.splitlines() if '" ended"' in each or ' ended"' in each
            ]
            assert all(is_number(value) for value in flat(line.get("usage") or {})), line

    run_virtual(run())


def flat(value: Any) -> list[Any]:
    return [each for inner in value.values() for each in flat(inner)] if isinstance(value, dict) else [value]


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


@given(
    st.sampled_from(SECRETS),
    st.text(max_size=20),
    st.text(max_size=1100),
    st.sampled_from(STATUSES),
    st.sampled_from(FIELDS),
)
@settings(max_examples=200, deadline=None)
def test_nothing_around_a_secret_hides_it(
    secret: str, after: str, before: str, status: int, field: str
) -> None:
    """Also where it is cut off at the length of a message."""
    answer = ScriptedResponse(
        status, {"error": {"message": "m", "code": "c", field: before + secret + after}}
    )

    async def run() -> None:
        told, logged = await told_by(lambda _: answer)
        assert "hush" not in (told.text + logged).lower() or "hush" in (before + after).lower()

    run_virtual(run())
