"""From a fault of Qwen's to what the client sees: status, code, headers, and how often Qwen is asked."""

import json
from typing import Any

import pytest

from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.errors import InvalidRequest, RateLimited, UpstreamTimeout, UpstreamUnavailable
from qwen_worker.platform.ports import FetchError, FetchTimeout, OutboundRequest, Response
from qwen_worker.upstream.attempts import (
    MAX_RETRY_WAIT_SECONDS,
    RETRY_BUDGET_SECONDS,
    retry_delay_seconds,
)
from tests.simulator.named_faults import NAMED_FAULTS
from tests.support.accounts import new_pool
from tests.support.clock import START_MS, VirtualClock
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response
from tests.support.upstream_faults import EXPECTATIONS, Expectation

COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}

LOGIN = json.dumps({"access_token": "token-1", "refresh_token": "refresh-1", "expiry_date": START_MS * 2})
DEAD = ScriptedResponse(400, {"error": "invalid_grant"})
"""The token endpoint's answer for a dead login."""


class Chat:
    """A gateway with a static key in front of a scripted Qwen."""

    def __init__(self, *answers: Any, **variables: str) -> None:
        self._answers = answers
        self.logs = LogRecorder()
        self.clock = VirtualClock()
        self.fetcher = ScriptedFetcher(self._answer)
        settings = Settings.from_env({"QWEN_API_KEY": "upstream-key-1", **variables})
        self._gateway = Gateway(settings, new_pool(settings), self.logs, started_ms=START_MS)

    def _answer(self, request: OutboundRequest) -> Any:
        answer = self._answers[min(len(self.fetcher.requests), len(self._answers)) - 1]
        return answer(request) if callable(answer) else answer

    async def __call__(self, *, stream: bool = False, headers: dict[str, str] | None = None) -> Response:
        body = {"messages": [{"role": "user", "content": "hello"}], "stream": stream}
        return await gateway_response(
            self._gateway,
            ScriptedRequest("POST", "/v1/chat/completions", headers=headers, body=body),
            make_runtime(clock=self.clock, fetcher=self.fetcher),
        )


def simulated(fault: str) -> Any:
    """What the fetch port gives for one of the simulator's faults."""
    described = NAMED_FAULTS[fault]
    if "abort_before_headers" in described:
        return FetchError()
    if "delay_before_headers_ms" in described:
        return FetchTimeout()
    body: Any = described["body"]
    headers: Any = described.get("headers", {})
    return ScriptedResponse(
        status=int(str(described["status"])),
        body=body,
        headers={
            **({"content-type": str(described["content_type"])} if "content_type" in described else {}),
            **{name.lower(): value for name, value in headers.items()},
        },
    )


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("expected", EXPECTATIONS, ids=lambda e: e.fault)
async def test_each_fault_becomes_one_honest_answer(expected: Expectation, stream: bool) -> None:
    chat = Chat(simulated(expected.fault))
    response = await chat(stream=stream)
    assert isinstance(response.body, str)
    error = json.loads(response.body)["error"]
    assert (response.status, error["type"], error["code"]) == (
        expected.status,
        expected.type,
        expected.code,
    )
    assert error["message"]
    assert len(chat.fetcher.requests) == expected.attempts
    retry_after = None if expected.retry_after is None else str(expected.retry_after)
    assert response.headers.get("retry-after") == retry_after
    assert (response.headers.get("x-should-retry") == "false") == expected.is_final


async def test_a_passing_fault_is_not_seen_by_the_client() -> None:
    chat = Chat(simulated("bad_gateway"), FetchError(), ScriptedResponse(200, COMPLETION))
    response = await chat()
    assert response.status == 200
    assert len(chat.fetcher.requests) == 3
    assert len(chat.clock.slept_seconds) == 2


async def test_every_attempt_sends_the_same_body_and_request_id() -> None:
    chat = Chat(simulated("bad_gateway"), ScriptedResponse(200, COMPLETION))
    response = await chat()
    first, second = chat.fetcher.requests
    assert first == second
    assert first.headers["x-request-id"] == response.headers["x-request-id"]


async def test_three_failures_are_enough() -> None:
    chat = Chat(simulated("bad_gateway"))
    assert (await chat()).status == 502
    assert len(chat.fetcher.requests) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_the_time_out_bounds_an_answer(stream: bool) -> None:
    chat = Chat(FetchTimeout(), UPSTREAM_TIMEOUT_SECONDS="120")
    assert (await chat(stream=stream)).status == 504
    assert chat.fetcher.timeouts == [120_000]


async def test_qwens_words_and_request_id_reach_the_client_but_no_credential() -> None:
    answer = ScriptedResponse(
        400,
        {
            "error": {
                "code": "invalid_parameter_error",
                "message": "seed: use upstream-key-1 or sk-abcdef123",
            },
            "request_id": "qwen-request-1",
        },
    )
    response = await Chat(answer)()
    assert isinstance(response.body, str)
    error = json.loads(response.body)["error"]
    assert error["message"].startswith("seed: use")
    assert error["upstream_request_id"] == "qwen-request-1"
    assert "upstream-key-1" not in response.body
    assert "sk-abcdef123" not in response.body


@pytest.mark.parametrize("random", [0.0, 0.999])
def test_waits_grow_are_jittered_and_bounded(random: float) -> None:
    error = UpstreamUnavailable("x")
    waits = [retry_delay_seconds(error, attempt, 8, 0, random) for attempt in range(1, 8)]
    taken = [wait for wait in waits if wait is not None]
    assert taken == sorted(taken)
    assert all(0.1 <= wait <= MAX_RETRY_WAIT_SECONDS for wait in taken)
    assert taken[0] != retry_delay_seconds(error, 1, 8, 0, 0.5)


@pytest.mark.parametrize(
    ("error", "attempt", "elapsed", "is_repeated"),
    [
        (UpstreamUnavailable("connection failed"), 1, 0.0, True),
        (UpstreamUnavailable("connection failed"), 3, 0.0, False),
        (UpstreamUnavailable("connection failed"), 1, RETRY_BUDGET_SECONDS, False),
        (UpstreamUnavailable("x", upstream_status=503), 1, 0.0, True),
        (UpstreamUnavailable("x", upstream_status=503, retry_after_seconds=60), 1, 0.0, False),
        (UpstreamUnavailable("x", upstream_status=500), 1, 0.0, False),
        (UpstreamTimeout("no answer"), 1, 0.0, False),
        (UpstreamTimeout("x", upstream_status=504), 1, 0.0, True),
        (RateLimited("x", upstream_status=429, retry_after_seconds=2), 1, 0.0, True),
        (RateLimited("x", upstream_status=429, retry_after_seconds=20), 1, 0.0, False),
        (InvalidRequest("x", upstream_status=400), 1, 0.0, False),
    ],
)
def test_only_what_may_be_gone_in_a_moment_is_repeated(
    error: Any, attempt: int, elapsed: float, is_repeated: bool
) -> None:
    delay = retry_delay_seconds(error, attempt, 3, elapsed, 0.5)
    assert (delay is not None) == is_repeated


EXPLAINED = "Access denied: this key may not use the region. See https://help.example/#access"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("account", ["a key", "a login"])
async def test_a_refused_credential_keeps_qwens_explanation_and_request_id(
    status: int, stream: bool, account: str
) -> None:
    variables = {} if account == "a key" else {"QWEN_API_KEY": "", "QWEN_CLI_AUTH": LOGIN}
    refusal = ScriptedResponse(
        status, {"error": {"code": "access_denied", "message": EXPLAINED}, "request_id": "qwen-7"}
    )
    chat = Chat(lambda request: refusal if "authorization" in request.headers else DEAD, **variables)

    response = await chat(stream=stream)

    assert isinstance(response.body, str)
    error = json.loads(response.body)["error"]
    assert (response.status, error["code"]) == (503, "credentials_rejected")
    assert EXPLAINED in error["message"]
    assert error["upstream_request_id"] == "qwen-7"
    [line] = chat.logs.events("request failed")
    assert (line["upstream_status"], line["upstream_request_id"]) == (status, "qwen-7")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_403_about_a_model_says_so(stream: bool) -> None:
    answer = ScriptedResponse(403, {"code": "Model.AccessDenied", "message": "Model access denied."})
    response = await Chat(answer)(stream=stream)
    assert isinstance(response.body, str)
    error = json.loads(response.body)["error"]
    assert (response.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "Model access denied." in error["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_coding_plan_that_refuses_the_client_is_told_as_what_it_is(stream: bool) -> None:
    words = "Coding Plan is currently only available for Coding Agents"
    response = await Chat(ScriptedResponse(405, {"error": words}))(stream=stream)
    assert isinstance(response.body, str)
    error = json.loads(response.body)["error"]
    assert (response.status, error["code"]) == (502, "client_not_allowed")
    assert "coding tools" in error["message"]
    assert words in error["message"]
    assert "QWEN_BASE_URL" not in error["message"]
    assert response.headers["x-should-retry"] == "false"


async def test_the_clients_user_agent_goes_to_a_plan() -> None:
    chat = Chat(ScriptedResponse(200, COMPLETION), QWEN_BASE_URL="https://coding.dashscope.aliyuncs.com/v1")
    await chat(headers={"user-agent": "claude-cli/2.1"})
    assert chat.fetcher.requests[0].headers["user-agent"] == "claude-cli/2.1"
