"""The journey of a request through the gateway: routing, keys, CORS, ids, the error boundary."""

import json
from typing import Any

import pytest

from qwen_worker.app import Gateway, Isolate
from qwen_worker.config.settings import Settings
from qwen_worker.platform.ports import OutboundRequest, Response
from qwen_worker.version import __version__
from tests.support.accounts import new_pool
from tests.support.clock import START_MS, VirtualClock
from tests.support.kv import MemoryKV
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response

KEY = {"authorization": "Bearer client-key-1"}
CHAT = {"messages": [{"role": "user", "content": "a private question"}]}
COMPLETION = {"id": "c1", "object": "chat.completion", "choices": [{"message": {"content": "an answer"}}]}


class Setup:
    """A gateway with fakes around it."""

    def __init__(self, answer: Any = None, **variables: str) -> None:
        self.logs = LogRecorder()
        self.clock = VirtualClock()
        self.fetcher = ScriptedFetcher(answer or (lambda _: ScriptedResponse(200, COMPLETION)))
        settings = Settings.from_env({"QWEN_API_KEY": "upstream-key-1", "LOG_LEVEL": "debug", **variables})
        self.gateway = Gateway(settings, new_pool(settings), self.logs, started_ms=START_MS)

    async def __call__(self, method: str, path: str, **request: Any) -> Response:
        runtime = make_runtime(clock=self.clock, fetcher=self.fetcher, kv=MemoryKV())
        return await gateway_response(self.gateway, ScriptedRequest(method, path, **request), runtime)


def parsed(response: Response) -> Any:
    assert isinstance(response.body, str | bytes)
    return json.loads(response.body)


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/models", "/v1/models/", "/models/", "//v1//models", "/v1//models/"],
)
async def test_models_answer_under_every_spelling_of_their_path(path: str) -> None:
    body = parsed(await Setup()("GET", path))
    assert body["object"] == "list"
    assert {
        "id": "qwen3-coder-plus",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "qwen",
        "context_window": 997_952,
        "max_output_tokens": 65_536,
    } in body["data"]


async def test_one_model_by_its_encoded_id() -> None:
    setup = Setup(QWEN_MODELS="Qwen/Qwen3-Coder,qwen3-coder-plus")
    assert parsed(await setup("GET", "/v1/models/Qwen%2FQwen3-Coder"))["id"] == "Qwen/Qwen3-Coder"
    assert parsed(await setup("GET", "/models/qwen3-coder-plus"))["id"] == "qwen3-coder-plus"


async def test_an_unknown_model_is_a_404_that_says_so() -> None:
    response = await Setup()("GET", "/v1/models/gpt-99")
    assert response.status == 404
    assert parsed(response)["error"]["code"] == "model_not_found"


async def test_health_tells_status_uptime_and_version_without_a_key() -> None:
    setup = Setup(OPENAI_API_KEY="client-key-1")
    setup.clock.advance(12.9)
    body = parsed(await setup("GET", "/health"))
    assert body == {
        "status": "ok",
        "uptime": 12,
        "version": f"qwen-worker-{__version__}",
        "apis": [
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1/completions",
            "/v1/embeddings",
        ],
    }


async def test_health_tells_an_operator_about_the_credential() -> None:
    setup = Setup(OPENAI_API_KEY="client-key-1")
    body = parsed(await setup("GET", "/health", headers=KEY))
    assert body["credentials"]
    assert "upstream-key-1" not in json.dumps(body)


async def test_health_is_degraded_by_broken_configuration_and_names_the_variable() -> None:
    setup = Setup(LOG_LEVEL="loud", OPENAI_BASE_URL="nonsense")
    body = parsed(await setup("GET", "/health"))
    assert body["status"] == "degraded"
    assert any("OPENAI_BASE_URL" in reason for reason in body["reasons"])
    assert any("LOG_LEVEL" in reason for reason in body["reasons"])


async def test_a_broken_base_url_stops_chats_before_a_key_goes_anywhere() -> None:
    setup = Setup(OPENAI_BASE_URL="nonsense")
    response = await setup("POST", "/v1/chat/completions", body=CHAT)
    assert response.status == 500
    assert parsed(response)["error"]["code"] == "configuration_invalid"
    assert "OPENAI_BASE_URL" in parsed(response)["error"]["message"]
    assert setup.fetcher.requests == []


@pytest.mark.parametrize("path", ["/v1", "/v1/", "//v1", "/", ""])
async def test_the_welcome_names_the_endpoints_to_anyone(path: str) -> None:
    response = await Setup(CLIENT_KEYS="client-key-1")("GET", path)
    assert response.status == 200
    endpoints = parsed(response)["endpoints"]
    assert "POST /v1/chat/completions" in endpoints
    assert "GET /v1/logins" not in endpoints
    admins = parsed(await Setup(ADMIN_KEY="admin-key-1")("GET", path))["endpoints"]
    assert "GET /v1/logins" in admins


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/v1/chat/completions/"])
async def test_a_chat_is_forwarded_and_its_answer_passed_on(path: str) -> None:
    setup = Setup(OPENAI_BASE_URL="https://example.com/v1")
    response = await setup("POST", path, body=CHAT)
    assert response.status == 200
    assert parsed(response) == COMPLETION
    [sent] = setup.fetcher.requests
    assert sent.url == "https://example.com/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer upstream-key-1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/models/x"),
        ("POST", "/chat/completions"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/unknown"),
        ("POST", "/v1/v1"),
    ],
)
async def test_everything_under_v1_needs_a_key_when_one_is_set(method: str, path: str) -> None:
    setup = Setup(OPENAI_API_KEY="client-key-1")
    response = await setup(method, path, body=CHAT)
    assert response.status == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["access-control-allow-origin"] == "*"
    assert parsed(response)["error"]["code"] == "invalid_api_key"
    assert (await setup(method, path, body=CHAT, headers=KEY)).status != 401


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST, OPTIONS"),
        ("PROPFIND", "/v1/chat/completions", "POST, OPTIONS"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_a_json_405_with_allow(method: str, path: str, allow: str) -> None:
    response = await Setup()(method, path)
    assert response.status == 405
    assert response.headers["allow"] == allow
    assert parsed(response)["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/v1/unknown", "/nothing/here", "/v1/health", "/v1/v1", "/v1/logins", "/logins/x"]
)
async def test_an_unknown_path_is_a_json_404(path: str) -> None:
    response = await Setup()("GET", path)
    assert response.status == 404
    assert response.headers["content-type"] == "application/json"
    assert parsed(response)["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/", "/v1", "/health", "/v1/models"])
async def test_head_answers_like_get_without_a_body(path: str) -> None:
    setup = Setup()
    head, get = await setup("HEAD", path), await setup("GET", path)
    assert (head.status, head.body) == (200, None)
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/health", "/v1/models/a%2Fb"])
async def test_a_preflight_needs_no_key_and_echoes_the_headers(path: str) -> None:
    asked = "authorization, content-type, x-stainless-arch, x-stainless-retry-count"
    response = await Setup(OPENAI_API_KEY="client-key-1")(
        "OPTIONS", path, headers={"Access-Control-Request-Headers": asked, "Origin": "https://app.example"}
    )
    assert response.status == 204
    assert response.headers["access-control-allow-headers"] == asked
    assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize("given", ["my-trace.42", "req_0123456789abcdef"])
async def test_a_valid_request_id_is_kept_and_in_every_log_line(given: str) -> None:
    setup = Setup()
    response = await setup("POST", "/v1/chat/completions", body=CHAT, headers={"x-request-id": given})
    assert response.headers["x-request-id"] == given
    assert setup.logs.lines
    assert {line["request_id"] for line in setup.logs.lines} == {given}


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'quote"', "line\nbreak"])
async def test_an_invalid_request_id_is_replaced(given: str) -> None:
    setup = Setup()
    first = await setup("GET", "/health", headers={"x-request-id": given})
    second = await setup("GET", "/health")
    assert first.headers["x-request-id"] not in (given, second.headers["x-request-id"])


async def test_a_body_over_the_limit_is_a_413() -> None:
    setup = Setup(REQUEST_BODY_LIMIT_BYTES="1000")
    response = await setup("POST", "/v1/chat/completions", body={**CHAT, "padding": "x" * 1000})
    assert response.status == 413
    assert parsed(response)["error"]["code"] == "request_too_large"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/chat/completions", 401),
        ("POST", "/nothing", 404),
        ("PUT", "/health", 405),
        ("GET", "/health", 200),
        ("OPTIONS", "/v1/models", 204),
    ],
)
async def test_a_body_that_nobody_reads_is_drained_before_the_answer(
    method: str, path: str, status: int
) -> None:
    """Otherwise the next request on the connection would fail."""
    is_drained: list[bool] = []

    class Request(ScriptedRequest):
        async def discard_body(self) -> None:
            is_drained.append(True)

    setup = Setup(OPENAI_API_KEY="client-key-1")
    runtime = make_runtime(clock=setup.clock, fetcher=setup.fetcher, kv=MemoryKV())

    def respond(response: Response) -> None:
        assert is_drained
        assert response.status == status

    await setup.gateway.handle(Request(method, path, body=b"unread"), runtime, respond)
    assert is_drained


async def test_a_bug_of_ours_is_a_500_without_pythons_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret details")

    monkeypatch.setattr("qwen_worker.api.models.catalogue", broken)
    setup = Setup()
    response = await setup("GET", "/v1/models")
    assert response.status == 500
    assert parsed(response)["error"]["code"] == "internal_error"
    assert "secret details" not in str(response.body) + setup.logs.text
    assert setup.logs.events("unexpected error")[0]["exception"] == "RuntimeError"


async def test_the_debug_log_tells_the_story_without_secrets_or_prompts() -> None:
    setup = Setup(OPENAI_API_KEY="client-key-1")
    await setup("POST", "/v1/chat/completions", body=CHAT, headers=KEY)
    told = [line["event"] for line in setup.logs.lines]
    for event in (
        "environment loaded",
        "authentication passed",
        "new chat completion request",
        "base URL resolved",
        "upstream request",
        "upstream response",
        "completion ended",
    ):
        assert event in told
    for secret in ("client-key-1", "upstream-key-1", "a private question", "an answer"):
        assert secret not in setup.logs.text


async def test_the_log_tells_as_booleans_which_variables_are_present() -> None:
    setup = Setup(OPENAI_API_KEY="client-key-1")
    await setup("GET", "/health")
    [loaded] = setup.logs.events("environment loaded")
    assert (loaded["QWEN_CLI_AUTH"], loaded["QWEN_API_KEY"]) == (False, True)
    assert (loaded["CLIENT_KEYS"], loaded["QWEN_BASE_URL"]) == (True, False)


async def test_a_variable_that_is_no_longer_used_is_told_once_and_shown_to_operators() -> None:
    setup = Setup(CLIENT_KEYS="client-key-1", UPSTREAM_ATTEMPTS="5")
    assert "notices" not in parsed(await setup("GET", "/health"))
    body = parsed(await setup("GET", "/health", headers=KEY))
    assert body["status"] == "ok"
    assert [notice.split(":")[0] for notice in body["notices"]] == ["UPSTREAM_ATTEMPTS"]
    [told] = setup.logs.events("configuration notice")
    assert told["variable"] == "UPSTREAM_ATTEMPTS"


async def test_open_endpoints_are_announced_once() -> None:
    setup = Setup()
    await setup("GET", "/health")
    await setup("GET", "/health")
    assert len(setup.logs.events("endpoints are open")) == 1


async def test_answers_carry_only_allowed_headers_of_qwen() -> None:
    def answer(_: OutboundRequest) -> ScriptedResponse:
        return ScriptedResponse(
            200,
            COMPLETION,
            {
                "x-request-id": "qwen-1",
                "x-ratelimit-remaining-requests": "7",
                "set-cookie": "session=1",
                "server": "internal",
            },
        )

    response = await Setup(answer)("POST", "/v1/chat/completions", body=CHAT)
    assert response.headers["x-upstream-request-id"] == "qwen-1"
    assert response.headers["x-ratelimit-remaining-requests"] == "7"
    assert not {"set-cookie", "server"} & set(response.headers)


def test_settings_are_read_again_only_for_another_environment() -> None:
    isolate, logs = Isolate(), LogRecorder()
    environment = {"OPENAI_API_KEY": "a"}
    first = isolate.gateway(environment, logs)
    assert isolate.gateway(environment, logs) is first
    assert isolate.gateway({"OPENAI_API_KEY": "b"}, logs) is not first


async def test_the_cron_trigger_is_noted_for_the_operator_once_an_hour() -> None:
    setup, kv = Setup(), MemoryKV()
    runtime = make_runtime(clock=setup.clock, fetcher=setup.fetcher, kv=kv)

    async def last_cron() -> Any:
        response = await gateway_response(setup.gateway, ScriptedRequest("GET", "/health"), runtime)
        return parsed(response)["runtime"]["last_cron_seconds_ago"]

    assert await last_cron() is None
    for seconds, noted in ((0, 0), (900, 900), (900, 1_800), (1_800, 0)):
        setup.clock.advance(seconds)
        await setup.gateway.scheduled(runtime)
        assert await last_cron() == noted
