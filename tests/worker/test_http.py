"""The gateway's HTTP face on the real runtime: paths, methods, CORS, keys, ids, body limits."""

from typing import Any

import httpx
import pytest

from tests.worker.conftest import CLIENT_KEY, StartWorker
from tests.worker.harness.runtime import Worker

BEARER = {"Authorization": f"Bearer {CLIENT_KEY}"}
CHAT = {"messages": [{"role": "user", "content": "Say hello."}]}


def ask(worker: Worker, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, worker.base_url + path, timeout=10, **options)


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/", "//v1//models"])
def test_models_answer_in_openais_shape(worker: Worker, path: str) -> None:
    body = ask(worker, "GET", path, headers=BEARER).json()
    assert body["object"] == "list"
    first = body["data"][0]
    known = {name: first.pop(name) for name in ("context_window", "max_output_tokens")}
    assert first == {
        "id": "qwen3-coder-plus",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "qwen",
    }
    assert known == {"context_window": 997_952, "max_output_tokens": 65_536}
    assert "qwen3-coder-flash" in [model["id"] for model in body["data"]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 200),
        ("GET", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v1/models/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("PROPFIND", "/v1/models", 405),
    ],
)
def test_every_answer_is_json_with_cors_and_a_request_id(
    worker: Worker, method: str, path: str, status: int
) -> None:
    response = ask(worker, method, path, headers=BEARER)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["x-request-id"]
    if status >= 400:
        assert set(response.json()["error"]) >= {"message", "type", "param", "code"}
    if status == 405:
        assert "OPTIONS" in response.headers["allow"]


@pytest.mark.parametrize("headers", [BEARER, {"x-api-key": CLIENT_KEY}, {"api-key": CLIENT_KEY}])
def test_the_key_is_taken_from_each_schools_header(worker: Worker, headers: dict[str, str]) -> None:
    assert ask(worker, "GET", "/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer undefined"}, {"x-api-key": "no"}])
def test_without_a_right_key_nothing_is_told(worker: Worker, headers: dict[str, str]) -> None:
    response = ask(worker, "POST", "/v1/chat/completions", headers=headers, json=CHAT)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert CLIENT_KEY not in response.text


def test_without_configured_keys_the_endpoints_are_open_and_the_log_says_so(
    start_worker: StartWorker,
) -> None:
    worker = start_worker({"OPENAI_API_KEY": None})
    assert ask(worker, "POST", "/v1/chat/completions", json=CHAT).status_code == 200
    assert len(worker.events("endpoints are open")) == 1


def test_a_preflight_needs_no_key_and_echoes_the_headers(worker: Worker) -> None:
    asked = "authorization,content-type,x-stainless-arch,x-stainless-lang"
    response = ask(
        worker,
        "OPTIONS",
        "/v1/chat/completions",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-headers"] == asked
    assert "POST" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/v1", "/health", "/v1/models"])
def test_head_answers_without_a_body(worker: Worker, path: str) -> None:
    response = ask(worker, "HEAD", path, headers=BEARER)
    assert response.status_code == 200
    assert response.content == b""


def test_a_callers_request_id_is_in_the_answer_and_the_log(worker: Worker) -> None:
    response = ask(worker, "GET", "/v1/models", headers={**BEARER, "x-request-id": "trace-42"})
    assert response.headers["x-request-id"] == "trace-42"
    worker.log.wait_for("authentication passed", request_id="trace-42")


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_body_over_the_limit_is_a_413_however_it_is_sent(start_worker: StartWorker, chunked: bool) -> None:
    worker = start_worker({"REQUEST_BODY_LIMIT_BYTES": "50000"})
    body = b'{"messages":[{"role":"user","content":"' + b"x" * 100_000 + b'"}]}'
    content: Any = iter([body[:60_000], body[60_000:]]) if chunked else body
    response = ask(worker, "POST", "/v1/chat/completions", headers=BEARER, content=content)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


def test_a_chunked_body_is_read(worker: Worker) -> None:
    parts = iter([b'{"messages":[{"role":', b'"user","content":"h\xc3', b'\xa9llo"}]}'])
    response = ask(worker, "POST", "/v1/chat/completions", headers=BEARER, content=parts)
    assert response.status_code == 200
    assert response.json()["object"] == "chat.completion"


def test_broken_configuration_degrades_health_and_stops_chats(start_worker: StartWorker) -> None:
    worker = start_worker({"OPENAI_BASE_URL": "nonsense", "LOG_LEVEL": "loud"})
    health = ask(worker, "GET", "/health").json()
    assert health["status"] == "degraded"
    assert any("OPENAI_BASE_URL" in reason for reason in health["reasons"])
    response = ask(worker, "POST", "/v1/chat/completions", headers=BEARER, json=CHAT)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "configuration_invalid"
    assert "OPENAI_BASE_URL" in response.json()["error"]["message"]
