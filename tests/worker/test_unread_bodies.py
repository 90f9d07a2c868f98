"""Answers that need nothing of a request's body: the next request on the connection must not suffer.

Through wrangler's front proxy, where a body that was left unread made it a 503 "Your worker restarted".
"""

import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from openai import OpenAI

from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.runtime import Worker

BEARER = {"Authorization": f"Bearer {CLIENT_KEY}"}
GOOD = {"messages": [{"role": "user", "content": "Say hello."}]}
BODY = b'{"messages":[{"role":"user","content":"' + b"x" * 3_000_000 + b'"}]}'
TOO_LARGE = b'{"messages":[{"role":"user","content":"' + b"x" * 21_000_000 + b'"}]}'

ANSWERS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "wrong key": ("POST", "/v1/chat/completions", {"Authorization": "Bearer wrong"}, 401),
    "no key": ("POST", "/v1/messages", {}, 401),
    "unknown path": ("POST", "/v1/nothing", BEARER, 404),
    "a path of nobody": ("POST", "/favicon.ico", {}, 404),
    "wrong method": ("PUT", "/v1/chat/completions", BEARER, 405),
    "DELETE": ("DELETE", "/v1/models", BEARER, 405),
    "stored response": ("POST", "/v1/responses/resp_1/cancel", BEARER, 404),
    "unknown coding": ("POST", "/v1/chat/completions", {**BEARER, "Content-Encoding": "x-odd"}, 415),
}
NO_BODY_EXPECTED: dict[str, tuple[str, str, dict[str, str], int]] = {
    "GET": ("GET", "/v1/models", BEARER, 200),
    "preflight": ("OPTIONS", "/v1/chat/completions", {}, 204),
    "health": ("GET", "/health", {}, 200),
}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """One connection."""
    with httpx.Client(timeout=30, limits=httpx.Limits(max_connections=1)) as running:
        yield running


def in_chunks(body: bytes) -> Any:
    """A body without a `content-length`."""
    return iter([body[start : start + 500_000] for start in range(0, len(body), 500_000)])


def works(worker: Worker, client: httpx.Client) -> bool:
    """Whether the next request on the connection is answered."""
    return client.post(f"{worker.openai_base_url}/chat/completions", headers=BEARER, json=GOOD).is_success


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_next_request_on_the_connection_works(
    worker: Worker, client: httpx.Client, answer: str, chunked: bool
) -> None:
    check_connection(worker, client, ANSWERS[answer], chunked=chunked)


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_also_where_no_body_is_expected(
    start_direct_worker: StartDirectWorker, client: httpx.Client, chunked: bool
) -> None:
    """Without wrangler's front, whose asset router answers a GET with a body by itself, with 500."""
    worker = start_direct_worker()
    for request in NO_BODY_EXPECTED.values():
        check_connection(worker, client, request, chunked=chunked)


def check_connection(
    worker: Worker, client: httpx.Client, request: tuple[str, str, dict[str, str], int], *, chunked: bool
) -> None:
    method, path, headers, status = request
    for _ in range(4):
        content = in_chunks(BODY) if chunked else BODY
        response = client.request(method, worker.base_url + path, headers=headers, content=content)
        assert response.status_code == status
        assert works(worker, client)


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_also_after_a_body_over_the_limit(worker: Worker, client: httpx.Client, chunked: bool) -> None:
    for _ in range(4):
        response = client.post(
            f"{worker.openai_base_url}/chat/completions",
            headers=BEARER,
            content=in_chunks(TOO_LARGE) if chunked else TOO_LARGE,
        )
        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
        assert works(worker, client)


def test_the_sdk_sees_a_413_ten_times_of_ten(worker: Worker) -> None:
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0, timeout=30) as client:
        for _ in range(10):
            with pytest.raises(openai.APIStatusError) as raised:
                client.chat.completions.create(
                    model="qwen3-coder-plus", messages=[{"role": "user", "content": "x" * 21_000_000}]
                )
            assert (raised.value.status_code, raised.value.code) == (413, "request_too_large")
        answer = client.chat.completions.create(
            model="qwen3-coder-plus", messages=[{"role": "user", "content": "Say hello."}]
        )
        assert answer.choices[0].message.content


def test_a_body_that_never_ends_is_not_waited_for(start_direct_worker: StartDirectWorker) -> None:
    """Reading what nobody wants has a bound of a second. (Wrangler's proxy waits for the body itself.)"""
    worker = start_direct_worker()
    address = urlsplit(worker.base_url)
    began = time.monotonic()
    with socket.create_connection((address.hostname, address.port or 80), timeout=15) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: worker\r\nContent-Length: 1000000\r\n\r\nbegin"
        )
        answer = connection.recv(100)
    assert answer.startswith(b"HTTP/1.1 401")
    assert time.monotonic() - began < 8
