"""POST /v1/messages on the real workerd: a host that speaks Messages, and one that does not, are the same to
Anthropic's clients.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import pytest

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.support.messages_grammar import read_messages_stream
from tests.support.recorded import RECORDED
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.messages_gateway import MODEL, QUESTION, REQUEST, WAYS, Gateway, account, gateways

WEATHER: Any = {
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLS = [{"name": "get_weather", "arguments": f'{{"city": "{city}"}}'} for city in ("Paris", "東京")]


@pytest.fixture(scope="module")
def gateway_of(simulator: QwenSimulator) -> Iterator[Callable[[str], Gateway]]:
    """The gateway of a way; started when it is first needed."""
    with gateways(simulator) as start:
        yield start


@pytest.fixture(params=WAYS)
def gateway(request: pytest.FixtureRequest, gateway_of: Callable[[str], Gateway]) -> Gateway:
    return gateway_of(request.param)


# --- answers


def test_whole(gateway: Gateway) -> None:
    message = gateway.create({"text": ["Hello", ", ", "you"]})

    assert message.content == [anthropic.types.TextBlock(type="text", text="Hello, you")]
    assert (message.stop_reason, message.role, message.model) == ("end_turn", "assistant", MODEL)
    assert (message.usage.input_tokens > 0, message.usage.output_tokens) == (True, 3)
    assert gateway.received[0].path == ("/v1/messages" if gateway.way == "native" else "/v1/chat/completions")


def test_streamed(gateway: Gateway) -> None:
    with gateway.stream({"text": ["你", "好", " 🙂"]}) as stream:
        texts = list(stream.text_stream)
        message = stream.get_final_message()

    assert "".join(texts) == "你好 🙂"
    assert (message.stop_reason, message.model) == ("end_turn", MODEL)
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens >= 3


def test_stream_keeps_anthropics_grammar(gateway: Gateway) -> None:
    fault = {"reasoning": ["Hm", "m."], "text": ["Let me ", "look."], "tool_calls": CALLS}
    answer = gateway.post({**REQUEST, "tools": [WEATHER], "stream": True}, fault=fault)

    assert answer.headers["content-type"].startswith("text/event-stream")
    read = gateway.read(answer)
    assert (read.text("thinking"), read.text()) == ("Hmm.", "Let me look.")
    assert [call[2] for call in read.calls()] == [{"city": "Paris"}, {"city": "東京"}]


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools_and_their_results(gateway: Gateway, stream: bool) -> None:
    first = ask(gateway, stream, {"tool_calls": CALLS}, tools=[WEATHER])

    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "東京"}]
    assert len({call.id for call in calls}) == 2
    assert first.stop_reason == "tool_use"

    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    conversation = [
        *QUESTION,
        {"role": "assistant", "content": first.to_dict()["content"]},
        {"role": "user", "content": results},
    ]
    last = ask(gateway, stream, None, tools=[WEATHER], messages=conversation)
    assert last.stop_reason == "end_turn"
    assert "sunny" in last.content[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_thinking(gateway: Gateway, stream: bool) -> None:
    message = ask(
        gateway,
        stream,
        {"reasoning": ["Let me", " think."], "text": ["42"]},
        thinking={"type": "enabled", "budget_tokens": 1024},
    )

    thinking, text = message.content
    assert (thinking.thinking, thinking.signature, text.text) == ("Let me think.", "", "42")

    conversation = [*QUESTION, {"role": "assistant", "content": message.to_dict()["content"]}, *QUESTION]
    assert ask(gateway, stream, None, messages=conversation).stop_reason == "end_turn"


def test_host_is_told_to_think(gateway: Gateway) -> None:
    gateway.create(thinking={"type": "adaptive"}, output_config={"effort": "high"})

    body: Any = gateway.received[0].body
    if gateway.way == "native":
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 1500}
    elif gateway.way == "portal":
        assert body["enable_thinking"] is True or body["reasoning_effort"] == "high"


def test_beta(gateway: Gateway) -> None:
    message = gateway.client.beta.messages.create(
        **REQUEST,
        betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        extra_headers=gateway.plan({"text": ["hi"]}),
    )
    assert message.content[0].type == "text"
    assert message.content[0].text == "hi"


def test_longest_output(gateway: Gateway) -> None:
    message = gateway.create({"text": ["one", " two", " three"]}, max_tokens=2)

    assert message.stop_reason == "max_tokens"


def test_structured_output(gateway: Gateway) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    message = gateway.create(output_config={"format": {"type": "json_schema", "schema": schema}})

    assert isinstance(message.content[0], anthropic.types.TextBlock)
    assert json.loads(message.content[0].text) == {"n": 1}


def ask(gateway: Gateway, stream: bool, fault: Any, **fields: Any) -> Any:
    """The message, whole or streamed."""
    if not stream:
        return gateway.create(fault, **fields)
    with gateway.stream(fault, **fields) as answer:
        return answer.get_final_message()


# --- models


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ("qwen3-max[1m]", "qwen3-max"),
        ("qwen3.7-plus", "qwen3.7-plus"),
        ("claude-opus-5-5", "qwen3.8-max"),
        ("claude-haiku-4-5-20251001", "qwen3-coder-plus"),
        ("claude-sonnet-4-5[1m]", "qwen3-coder-plus"),
    ],
)
def test_model_names(gateway: Gateway, asked: str, called: str, stream: bool) -> None:
    message = ask(gateway, stream, None, model=asked)

    body: Any = gateway.received[0].body
    assert (body["model"], message.model) == (called, asked)


# --- errors


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**REQUEST, "max_tokens": None}, "max_tokens"),
        ({**REQUEST, "messages": []}, "messages"),
        ({**REQUEST, "messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0"),
        ({**REQUEST, "temperature": 3}, "temperature"),
        ({**REQUEST, "tools": "all"}, "tools"),
        (b"{", "JSON"),
    ],
)
def test_bad_request_names_the_field(gateway: Gateway, body: Any, field: str) -> None:
    answer = gateway.post(body)

    error = answer.json()
    assert (answer.status_code, error["type"]) == (400, "error")
    assert error["error"]["type"] == "invalid_request_error"
    assert field in error["error"]["message"]
    assert error["request_id"] == answer.headers["request-id"] == gateway.key
    assert not gateway.received


def test_wrong_key(gateway: Gateway) -> None:
    answer = gateway.post(REQUEST, **{"x-api-key": "another"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert answer.headers["x-should-retry"] == "false"


def test_unknown_model(gateway: Gateway) -> None:
    with pytest.raises(anthropic.NotFoundError, match="model"):
        gateway.create("model_not_found")


def test_too_large(start_worker: Any, simulator: QwenSimulator) -> None:
    gateway = Gateway("portal", simulator, start_worker({"REQUEST_BODY_LIMIT_BYTES": "1000"}))
    with gateway.client, pytest.raises(anthropic.RequestTooLargeError) as raised:
        gateway.create(system="a" * 2000)
    assert "request_too_large" in str(raised.value.body)


@pytest.mark.parametrize("stream", [False, True])
def test_used_up_quota_is_final(gateway: Gateway, stream: bool) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(gateway, stream, "insufficient_quota_daily")

    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(gateway.received) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_context_overflow_reads_as_anthropics(gateway: Gateway, stream: bool) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 1000000 maximum"):
        ask(gateway, stream, "context_length")


@pytest.mark.parametrize("stream", [False, True])
def test_passing_fault_is_tried_again(gateway: Gateway, stream: bool) -> None:
    headers = gateway.plan()
    gateway.simulator.faults.plan(
        gateway.key, {"name": "bad_gateway", "fail_first": 1, "then": {"text": ["ok"]}}
    )
    answer = httpx.post(
        f"{gateway.worker.base_url}/v1/messages",
        json={**REQUEST, "stream": stream},
        headers={"x-api-key": CLIENT_KEY, **headers},
        timeout=30,
    )
    assert answer.status_code == 200
    assert [request.status for request in gateway.received] == [502, 200]


# --- streams that break


@pytest.mark.parametrize(
    "fault",
    [
        {"abort_after": 6},
        {"abort_after": 6, "reset": True},
        {"end_after": 6},
        {"error_event_after": 6},
        {"error_data_after": 6, "error": "internal_error"},
    ],
    ids=str,
)
def test_broken_stream_is_never_a_clean_end(gateway: Gateway, fault: Any) -> None:
    answer = gateway.post({**REQUEST, "stream": True}, fault={"chunk_delay_ms": 5, **fault})

    last = answer.text.rstrip().rpartition("\n\n")[2]
    assert last.startswith("event: error\n")
    error = json.loads(last.partition("data:")[2])
    assert error["type"] == "error"
    assert error["error"]["type"] == "api_error"
    assert "message_stop" not in answer.text

    with pytest.raises(anthropic.APIStatusError) as raised:
        ask(gateway, True, {"chunk_delay_ms": 5, **fault})
    assert "error_event_after" not in fault or "rate limit exceeded" in str(raised.value)


@pytest.mark.parametrize("fault", ["error_event_first", "error_data_first", "html_200", "empty_stream_200"])
def test_error_in_place_of_a_stream_has_its_status(gateway: Gateway, fault: str) -> None:
    answer = gateway.post({**REQUEST, "stream": True}, fault=fault)

    assert answer.status_code in (429, 502)
    assert answer.json()["type"] == "error"


def test_pings_while_waiting(simulator: QwenSimulator, start_worker: Any) -> None:
    for way in ("native", "bridged"):
        variables = {**account(way, simulator), "STREAM_KEEP_ALIVE_SECONDS": "0.2"}
        gateway = Gateway(way, simulator, start_worker(variables, credentials=False))
        waiting = {"delay_before_headers_ms": 900, "text": ["late"]}
        answer = gateway.post({**REQUEST, "stream": True}, fault=waiting)
        assert answer.text.count("event: ping") >= 3
        assert gateway.read(answer).text() == "late"

        failed = gateway.post({**REQUEST, "stream": True}, fault={**waiting, "status": 500})
        assert failed.text.rstrip().rpartition("\n\n")[2].startswith("event: error\n")
        gateway.client.close()


def test_hanging_up_stops_qwen(gateway: Gateway) -> None:
    with gateway.stream({"endless": True, "chunk_delay_ms": 10}) as stream:
        next(iter(stream.text_stream))

    gateway.simulator.recorder.wait_for(gateway.key, disconnected)


# --- several ways


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("first", ["native", "bridged"])
def test_failover_goes_across_ways(
    simulator: QwenSimulator, start_worker: Any, first: str, stream: bool
) -> None:
    login = simulator.create_login()
    described = {
        "api_key": DEFAULT_API_KEY,
        "base_url": simulator.api_url,
        "messages": "native",
        "label": "key",
    }
    priorities = (1, 2) if first == "native" else (2, 1)
    worker = start_worker(
        {
            "QWEN_API_KEY": json.dumps({**described, "label": "key", "priority": priorities[0]}),
            "QWEN_CLI_AUTH": json.dumps({**login.credentials(), "label": "login", "priority": priorities[1]}),
        }
    )
    gateway = Gateway("failover", simulator, worker)
    headers = gateway.plan()
    spent = DEFAULT_API_KEY if first == "native" else login.name
    simulator.faults.plan(gateway.key, {"name": "insufficient_quota_daily", "only_for": [spent]})
    answer = httpx.post(
        f"{worker.base_url}/v1/messages?beta=true",
        json={**REQUEST, "stream": stream},
        headers={"x-api-key": CLIENT_KEY, **headers},
        timeout=30,
    )
    assert answer.status_code == 200
    assert answer.headers["x-qwen-account"] == ("login" if first == "native" else "key")
    order = ["messages", "chat"] if first == "native" else ["chat", "messages"]
    assert [request.endpoint for request in gateway.received] == order
    if stream:
        assert read_messages_stream(answer.content, is_ours=first == "native").text()
    gateway.client.close()


# --- what else Claude Code asks for


def test_harmless_probes(gateway: Gateway) -> None:
    for path, statuses in (("/", (200,)), ("/api/hello", (200, 404))):
        answer = httpx.head(gateway.worker.base_url + path)
        assert answer.status_code in statuses
        assert answer.content == b""


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the bodies of real clients are not on this machine")
@pytest.mark.parametrize(
    "name",
    [
        "claude-code-2.1.197-claude-model",
        "claude-code-2.1.197-web-search",
        "claude-code-2.1.332-first-turn",
        "claude-code-2.1.332-tool-result",
    ],
)
def test_bodies_of_claude_code(gateway: Gateway, name: str) -> None:
    answer = gateway.post(
        (RECORDED / f"{name}.json").read_bytes(), path="/v1/messages?beta=true", fault={"text": ["hi"]}
    )

    assert answer.status_code == 200, answer.text
    assert gateway.read(answer).text() == "hi"
    assert [request.status for request in gateway.received] == [200]
    assert b"x-anthropic-billing-header" not in gateway.received[0].raw_body


# --- counting tokens

COUNTED: dict[str, Any] = {"model": "claude-opus-5-5", "messages": QUESTION, "tools": [WEATHER]}
COUNT_PATH = "/v1/messages/count_tokens"


def test_tokens_are_counted_by_the_host_that_can(gateway: Gateway) -> None:
    counted = gateway.client.messages.count_tokens(**COUNTED, extra_headers=gateway.plan())

    asked = [(request.endpoint, request.body["model"]) for request in bodies(gateway)]
    assert asked == ([("count_tokens", "qwen3.8-max")] if gateway.way == "native" else [])
    if gateway.way != "native":
        assert 100 < counted.input_tokens < 250


def bodies(gateway: Gateway) -> list[Any]:
    """What the last request led to at Qwen, with bodies of any type."""
    return list(gateway.received)


@pytest.mark.parametrize(
    "fault", ["invalid_api_key", "internal_error", "html_200", "insufficient_quota_daily"]
)
def test_tokens_are_estimated_if_the_host_fails_and_nobody_is_in_cooldown(
    gateway_of: Callable[[str], Gateway], fault: str
) -> None:
    gateway = gateway_of("native")

    counted = gateway.post(COUNTED, COUNT_PATH, fault)

    assert (counted.status_code, len(gateway.received)) == (200, 1)
    assert 100 < counted.json()["input_tokens"] < 250
    assert gateway.create().stop_reason == "end_turn"


def test_a_host_that_does_not_answer_is_not_waited_for(gateway_of: Callable[[str], Gateway]) -> None:
    gateway = gateway_of("native")
    before = time.monotonic()
    counted = gateway.post(COUNTED, COUNT_PATH, "headers_never")

    assert counted.json()["input_tokens"] > 100
    assert 2 < time.monotonic() - before < 10


def test_a_count_names_the_field_of_a_bad_request(gateway: Gateway) -> None:
    answer = gateway.post({"model": MODEL}, COUNT_PATH)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "messages" in answer.json()["error"]["message"]


# --- models


def test_list_of_models(gateway_of: Callable[[str], Gateway]) -> None:
    client = gateway_of("bridged").client

    models = list(client.models.list(limit=2))
    assert "claude-opus-5-5" in [model.id for model in models]
    assert {model.type for model in models} == {"model"}
    assert client.models.retrieve("qwen3-coder-plus").display_name == "qwen3-coder-plus"
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.models.retrieve("unknown")
    assert raised.value.type == "not_found_error"
