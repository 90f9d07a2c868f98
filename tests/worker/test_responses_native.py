"""Accounts whose host is asked for Responses in its own words, on the real workerd."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.recording import ReceivedRequest
from tests.simulator.server import QwenSimulator
from tests.support.responses_grammar import read_stream
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import embedded_only

MODEL = "qwen3.7-plus"
DELTAS = ["Hello", ",", " 你好", " 🙂"]
TEXT = "".join(DELTAS)
KEEP_ALIVE_SECONDS = 0.4
TOOLS = [
    {"type": "function", "name": f"tool_{number}", "description": "x" * 900, "parameters": {"type": "object"}}
    for number in range(60)
]

pytestmark = embedded_only()


class Gateway:
    """A Worker with a native account, and a bridged one that takes over where that fails."""

    def __init__(self, simulator: QwenSimulator) -> None:
        self.simulator = simulator
        self.login = simulator.create_login()
        native = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url, "label": "native"}
        self.worker = DirectWorker(
            {
                "QWEN_API_KEY": json.dumps({**native, "responses": "native", "priority": 1}),
                "QWEN_CLI_AUTH": json.dumps({**self.login.credentials(), "label": "bridged", "priority": 2}),
                "QWEN_OAUTH_BASE_URL": simulator.url,
                "CLIENT_KEYS": CLIENT_KEY,
                "STREAM_KEEP_ALIVE_SECONDS": str(KEEP_ALIVE_SECONDS),
                "STREAM_IDLE_TIMEOUT_SECONDS": "2.5",
            }
        )
        self.client = OpenAI(base_url=self.worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0)

    def post(self, key: str, fault: dict[str, Any] | None = None, **fields: Any) -> httpx.Response:
        simulate = {"key": key, "only_for": [DEFAULT_API_KEY], **(fault or {})}
        return httpx.post(
            f"{self.worker.openai_base_url}/responses",
            json={"model": MODEL, "input": "Hi", "simulate": simulate, **fields},
            headers={"authorization": f"Bearer {CLIENT_KEY}", "x-dashscope-session-cache": "enable"},
            timeout=30,
        )

    def stream(self, key: str, fault: dict[str, Any] | None = None, **fields: Any) -> httpx.Response:
        return self.post(key, fault, stream=True, **fields)

    def received(self, key: str) -> ReceivedRequest:
        [request] = self.simulator.find(key)
        return request

    def outcome(self, answer: httpx.Response) -> Any:
        line = self.worker.log.wait_for("stream ended", request_id=answer.headers["x-request-id"])
        return line["outcome"]


@pytest.fixture(scope="module")
def gateway(simulator: QwenSimulator) -> Iterator[Gateway]:
    running = Gateway(simulator)
    yield running
    running.client.close()
    running.worker.stop()


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream that is framed as Qwen does it; each is JSON, and has the next number."""
    blocks = data.removesuffix(b"\n\n").split(b"\n\n")
    lines = [line for block in blocks for line in block.split(b"\n") if line.startswith(b"data:")]
    events = [json.loads(line.removeprefix(b"data:")) for line in lines]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


# --- a healthy host


def test_a_whole_response_passes_both_ways(gateway: Gateway) -> None:
    asked = {"previous_response_id": "resp_1", "metadata": {"a": "b"}, "tools": [{"type": "web_search"}]}
    answer = gateway.post("native-whole", {"text": DELTAS}, **asked)

    assert answer.headers["x-qwen-account"] == "native"
    told = answer.json()
    assert told["output"][0]["content"][0]["text"] == TEXT
    assert told["metadata"] == {"a": "b"}
    request = gateway.received("native-whole")
    assert request.path.endswith("/v1/responses")
    assert request.headers["x-dashscope-session-cache"] == "enable"
    sent = request.body
    assert isinstance(sent, dict)
    assert sent.items() >= {"model": MODEL, "input": "Hi", **asked}.items()


def test_a_stream_passes_as_it_is(gateway: Gateway) -> None:
    answer = gateway.stream("native-stream", {"text": DELTAS, "reasoning": ["Hm."]})

    assert answer.content.startswith(b"id:0\nevent:response.created\n:HTTP_STATUS/200\ndata:{")
    events = events_of(answer.content)
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == TEXT
    assert events[-1]["type"] == "response.completed"
    assert gateway.outcome(answer) == "completed"


def test_a_last_event_of_any_length_is_an_end(gateway: Gateway) -> None:
    """Qwen repeats the request's tools in it."""
    answer = gateway.stream("native-long-end", {"text": DELTAS}, tools=TOOLS)

    events = events_of(answer.content)
    assert [event["type"] for event in events if event["type"] == "response.failed"] == []
    assert len(json.dumps(events[-1])) > 50_000
    assert gateway.outcome(answer) == "completed"


def test_the_sdk_reads_it(gateway: Gateway) -> None:
    with gateway.client.responses.stream(
        model=MODEL, input="Hi", extra_body={"simulate": {"text": DELTAS}}
    ) as stream:
        assert stream.get_final_response().output_text == TEXT


# --- errors before the first event


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("model_not_found", 404, "model_not_found"),
        ("context_length", 400, "context_length_exceeded"),
        ("bad_request", 400, None),
    ],
)
def test_an_error_has_its_own_status(
    gateway: Gateway, fault: str, status: int, code: str | None, is_stream: bool
) -> None:
    both = [DEFAULT_API_KEY, gateway.login.name]
    answer = gateway.post(f"native-{fault}-{is_stream}", {"name": fault, "only_for": both}, stream=is_stream)

    assert answer.status_code == status
    if code is not None:
        assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_used_up_quota_moves_the_request_to_the_next_account(
    simulator: QwenSimulator, is_stream: bool
) -> None:
    gateway = Gateway(simulator)  # its cooldown is not to be seen by others
    try:
        key = f"native-failover-{is_stream}"
        answer = gateway.post(key, {"name": "month_quota"}, stream=is_stream)

        assert answer.status_code == 200
        assert answer.headers["x-qwen-account"] == "bridged"
        paths = [request.path for request in simulator.find(key)]
        assert paths == ["/v1/responses", "/v1/chat/completions"]
        found = read_stream(answer.content).response if is_stream else answer.json()
        assert found["status"] == "completed"

        # What the other host stores, the next one does not have.
        refused = gateway.post(f"{key}-2", {"name": "month_quota"}, previous_response_id="resp_1")
        assert refused.json()["error"]["code"] == "previous_response_not_found"
    finally:
        gateway.client.close()
        gateway.worker.stop()


def test_the_sdk_raises_what_qwen_has_hidden_in_a_stream(gateway: Gateway) -> None:
    fault = {"name": "context_length"}
    with pytest.raises(openai.BadRequestError) as raised:
        gateway.client.responses.create(model=MODEL, input="Hi", stream=True, extra_body={"simulate": fault})
    assert raised.value.code == "context_length_exceeded"


# --- streams that break


@pytest.mark.parametrize(
    "fault",
    [{"abort_after": 6}, {"abort_after": 6, "reset": True}, {"end_after": 6}, {"stall_after": 6}],
    ids=lambda fault: "-".join(fault),
)
def test_a_stream_that_breaks_fails(gateway: Gateway, fault: dict[str, Any]) -> None:
    answer = gateway.stream(f"native-broken-{'-'.join(fault)}", fault)

    events = events_of(answer.content)
    first, last = events[0]["response"], events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["id"] == first["id"]
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["message"]
    assert gateway.outcome(answer) != "completed"


def test_half_an_event_does_not_spoil_the_end(gateway: Gateway) -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "output": []}}
    half = 'event:response.output_text.delta\ndata:{"sequence_number":1,"delta":"Hel'
    raw = [f"event:response.created\ndata:{json.dumps(created)}\n\n", half]
    events = events_of(gateway.stream("native-half", {"raw": raw}).content)

    assert [event.get("type") for event in events] == ["response.created", None, "response.failed"]
    assert events[1]["delta"] == "Hel"


def test_an_end_that_was_cut_off_is_not_believed(gateway: Gateway) -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "output": []}}
    half = 'data:{"type":"response.completed","sequence_number":1,"response":{"status":"completed"'
    raw = [f"data:{json.dumps(created)}\n\n", half]
    answer = gateway.stream("native-half-end", {"raw": raw})

    assert answer.content.rstrip().rpartition(b"\n\n")[2].startswith(b"event: response.failed\n")
    assert gateway.outcome(answer) == "stream_truncated"


def test_a_response_that_qwen_fails_is_passed_and_noted(gateway: Gateway) -> None:
    answer = gateway.stream("native-failed", {"error_event_after": 5})

    events = events_of(answer.content)
    assert [event["type"] for event in events].count("response.failed") == 1
    assert gateway.outcome(answer) == "stream_failed"


# --- a silent host


def test_keep_alives_are_comments_before_a_stream_that_has_its_own_beginning(gateway: Gateway) -> None:
    silent_ms = 1000 * KEEP_ALIVE_SECONDS * 3.5
    answer = gateway.stream("native-silent", {"delay_before_headers_ms": silent_ms, "text": DELTAS})

    assert answer.content.startswith(b": keep-alive\n\n: keep-alive\n\n")
    events = events_of(answer.content)
    assert [event["type"] for event in events].count("response.created") == 1
    assert events[-1]["type"] == "response.completed"


def test_an_error_after_keep_alives_fails_a_response_of_ours(gateway: Gateway) -> None:
    fault = {"name": "bad_request", "delay_before_headers_ms": 1000 * (KEEP_ALIVE_SECONDS + 0.4)}
    answer = gateway.stream("native-late-error", {**fault, "only_for": []}, previous_response_id="resp_1")

    assert answer.status_code == 200
    stream = read_stream(answer.content.replace(b": keep-alive\n\n", b""))
    assert stream.response["error"]["code"] == "invalid_prompt"
