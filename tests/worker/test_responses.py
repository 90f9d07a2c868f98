"""The Responses API on the real workerd: what the SDK gets, and the chat that reaches Qwen."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseInputItemParam, ToolParam
from pydantic import BaseModel

from tests.simulator.server import QwenSimulator
from tests.support.recorded import RECORDED
from tests.support.responses_grammar import read_stream
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

MODEL = "qwen3-coder-plus"
DELTAS = ["Hello", ",", " 你好", " 🙂"]
TEXT = "".join(DELTAS)
WEATHER: ToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
BODIES = sorted(
    file
    for pattern in ("codex-*", "ai-sdk-*", "openai-agents-*")
    for file in RECORDED.glob(f"{pattern}.json")
)


class Person(BaseModel):
    """What a model is asked to answer with."""

    name: str
    age: int


def simulate(key: str, **fault: Any) -> dict[str, Any]:
    return {"simulate": {"key": key, **fault}}


def chat_of(simulator: QwenSimulator, key: str) -> dict[str, Any]:
    """The one chat request with this key that reached Qwen, and was accepted."""
    [request] = simulator.find(key)
    assert request.path.endswith("/chat/completions")
    assert request.status == 200
    assert isinstance(request.body, dict)
    return dict(request.body)


def said_in(chat: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages after the system message that the portal demands."""
    messages: list[dict[str, Any]]
    system, *messages = chat["messages"]
    assert system["role"] == "system"
    return messages


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def post(worker: Worker, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{worker.openai_base_url}/responses",
        json=body,
        headers={"authorization": f"Bearer {CLIENT_KEY}", **headers},
        timeout=30,
    )


# --- what the SDK gets


def test_a_whole_response(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    response = openai_client.responses.create(
        model=MODEL,
        instructions="Answer briefly.",
        input="Say hello.",
        max_output_tokens=50,
        extra_body=simulate("responses-whole", text=DELTAS, reasoning=["Let me think."]),
    )

    assert response.status == "completed"
    assert response.output_text == TEXT
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage is not None
    assert response.usage.output_tokens == len(DELTAS)
    chat = chat_of(simulator, "responses-whole")
    assert chat["max_tokens"] == 50
    assert text_of(chat["messages"][0]["content"]).startswith("Answer briefly.")
    assert [text_of(message["content"]) for message in said_in(chat)] == ["Say hello."]


def test_a_stream_keeps_to_the_grammar(worker: Worker) -> None:
    fault = simulate("responses-raw", text=DELTAS, reasoning=["Hm."])
    raw = post(worker, {"model": MODEL, "input": "Hi", "stream": True, **fault})

    assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
    stream = read_stream(raw.content)
    assert (stream.text, stream.reasoning) == (TEXT, "Hm.")


def test_streams_of_the_sdk(openai_client: OpenAI) -> None:
    extra_body = simulate("responses-stream", text=DELTAS)
    events = list(openai_client.responses.create(model=MODEL, input="Hi", stream=True, extra_body=extra_body))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == TEXT

    with openai_client.responses.stream(model=MODEL, input="Hi", extra_body=extra_body) as stream:
        stream.until_done()
        assert stream.get_final_response().output_text == TEXT


@pytest.mark.parametrize("is_stream", [False, True])
def test_structured_output(openai_client: OpenAI, simulator: QwenSimulator, is_stream: bool) -> None:
    key = f"responses-parse-{is_stream}"
    extra_body = simulate(key, text=['{"name": "Ada", ', '"age": 36}'])
    if is_stream:
        with openai_client.responses.stream(
            model=MODEL, input="Who?", text_format=Person, extra_body=extra_body
        ) as stream:
            parsed = stream.get_final_response().output_parsed
    else:
        parsed = openai_client.responses.parse(
            model=MODEL, input="Who?", text_format=Person, extra_body=extra_body
        ).output_parsed

    assert parsed == Person(name="Ada", age=36)
    asked = chat_of(simulator, key)["response_format"]
    assert asked["json_schema"]["name"] == "Person"
    assert asked["json_schema"]["schema"]["required"] == ["name", "age"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_round_of_parallel_calls(openai_client: OpenAI, simulator: QwenSimulator, is_stream: bool) -> None:
    key = f"responses-tools-{is_stream}"
    cities = ["Paris", "北京"]
    calls = [{"name": "get_weather", "arguments": json.dumps({"city": city})} for city in cities]
    first = ask(openai_client, "Weather?", is_stream, [WEATHER], simulate(f"{key}-1", tool_calls=calls))
    found = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(item.arguments)["city"] for item in found] == cities

    history: list[Any] = [{"role": "user", "content": "Weather?"}]
    history += [item.to_dict() for item in first.output]
    for item in found:
        history.append({"type": "function_call_output", "call_id": item.call_id, "output": "mild"})
    second = ask(openai_client, history, is_stream, [WEATHER], simulate(f"{key}-2", text=DELTAS))
    assert second.output_text == TEXT

    _, assistant, *results = said_in(chat_of(simulator, f"{key}-2"))
    assert [call["id"] for call in assistant["tool_calls"]] == [item.call_id for item in found]
    assert [result["tool_call_id"] for result in results] == [item.call_id for item in found]


def ask(client: OpenAI, asked: Any, is_stream: bool, tools: list[Any], extra_body: Any) -> Response:
    if not is_stream:
        return client.responses.create(model=MODEL, input=asked, tools=tools, extra_body=extra_body)
    with client.responses.stream(model=MODEL, input=asked, tools=tools, extra_body=extra_body) as stream:
        return stream.get_final_response()


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_custom_tool(openai_client: OpenAI, simulator: QwenSimulator, is_stream: bool) -> None:
    key = f"responses-custom-{is_stream}"
    tool = {
        "type": "custom",
        "name": "apply_patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    }
    called = [{"name": "apply_patch", "arguments": json.dumps({"input": "*** Begin\n+ä\n"})}]
    response = ask(openai_client, "Patch.", is_stream, [tool], simulate(key, tool_calls=called))

    [item] = response.output
    assert item.type == "custom_tool_call"
    assert (item.name, item.input) == ("apply_patch", "*** Begin\n+ä\n")
    [function] = chat_of(simulator, key)["tools"]
    assert "start: /.+/" in function["function"]["description"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_tool_of_a_namespace(openai_client: OpenAI, simulator: QwenSimulator, is_stream: bool) -> None:
    key = f"responses-namespace-{is_stream}"
    namespace = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [WEATHER]}
    called = [{"name": "agents__get_weather", "arguments": "{}"}]
    response = ask(openai_client, "Go.", is_stream, [namespace], simulate(key, tool_calls=called))

    [item] = response.output
    assert item.to_dict().items() >= {"name": "get_weather", "namespace": "agents"}.items()
    [function] = chat_of(simulator, key)["tools"]
    assert function["function"]["name"] == "agents__get_weather"


def test_an_image_in_a_result(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    image = "data:image/png;base64,iVBORw0KGgo="
    items: list[ResponseInputItemParam] = [
        {"role": "user", "content": "Look."},
        {"type": "function_call", "call_id": "c1", "name": "view", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": image, "detail": "high"}],
        },
    ]
    openai_client.responses.create(model=MODEL, input=items, extra_body=simulate("responses-image"))

    *_, result, picture = said_in(chat_of(simulator, "responses-image"))
    assert (result["role"], result["tool_call_id"]) == ("tool", "c1")
    assert picture["role"] == "user"
    assert picture["content"][-1]["image_url"]["url"] == image


# --- without storage


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_reference_is_the_text_again(worker: Worker, simulator: QwenSimulator, is_stream: bool) -> None:
    """As the Vercel AI SDK sends the second turn, which has said nothing of `store`."""
    key = f"responses-reference-{is_stream}"
    first = {"model": MODEL, "input": "Hi", "stream": is_stream}
    answer = post(worker, {**first, **simulate(f"{key}-1", text=DELTAS)}, **{"user-agent": "ai-sdk-openai/4"})
    output = read_stream(answer.content).response["output"] if is_stream else answer.json()["output"]

    references = [{"type": "item_reference", "id": item["id"]} for item in output]
    turns = [{"role": "user", "content": "Hi"}, *references, {"role": "user", "content": "And now?"}]
    assert post(worker, {"model": MODEL, "input": turns, **simulate(f"{key}-2")}).status_code == 200
    _, said, _ = said_in(chat_of(simulator, f"{key}-2"))
    assert (said["role"], text_of(said["content"])) == ("assistant", TEXT)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ({"conversation": "conv_1"}, "previous_response_not_found", "conversation"),
        ({"background": True}, "unsupported_parameter", "background"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "item_not_found", "input[0].id"),
        ({"input": None}, "missing_required_parameter", "input"),
    ],
)
def test_what_needs_storage_is_refused(worker: Worker, fields: Any, code: str, param: str) -> None:
    response = post(worker, {"model": MODEL, "input": "Hi", **fields})

    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "responses"),
        ("GET", "responses/resp_1"),
        ("DELETE", "responses/resp_1"),
        ("GET", "responses/resp_1/input_items"),
        ("POST", "responses/resp_1/cancel"),
        ("POST", "responses/compact"),
    ],
)
def test_stored_responses_are_not_found(worker: Worker, method: str, path: str) -> None:
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    response = httpx.request(method, f"{worker.openai_base_url}/{path}", headers=headers)

    assert response.status_code == 404
    assert "keeps no conversations" in response.json()["error"]["message"]


def test_a_websocket_is_refused_with_426(worker: Worker) -> None:
    headers = {
        "authorization": f"Bearer {CLIENT_KEY}",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    response = httpx.get(f"{worker.openai_base_url}/responses", headers=headers)

    assert response.status_code == 426
    assert response.json()["error"]["code"] == "upgrade_refused"


# --- what clients send


@pytest.mark.skipif(not BODIES, reason="there are no recorded requests")
@pytest.mark.parametrize("file", BODIES, ids=lambda file: file.stem)
def test_the_bodies_of_real_clients(worker: Worker, simulator: QwenSimulator, file: Path) -> None:
    body = {**json.loads(file.read_text("utf-8")), **simulate(f"responses-{file.stem}", text=DELTAS)}
    body["simulate"]["tool_calls"] = []
    response = post(worker, {**body, "model": MODEL})

    if "item-reference" in file.stem:
        assert response.status_code == 400
        assert "store: false" in response.json()["error"]["message"]
        return
    assert response.status_code == 200
    stream = read_stream(response.content).response if body.get("stream") else response.json()
    assert stream["output"][-1]["content"][0]["text"] == TEXT
    chat = chat_of(simulator, f"responses-{file.stem}")
    assert not chat.keys() & {"input", "include", "store", "client_metadata", "text", "reasoning"}
    if "compaction" in file.stem:
        assert "tools" not in chat


# --- errors before the first event


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_used_up_quota(openai_client: OpenAI, simulator: QwenSimulator, is_stream: bool) -> None:
    key = f"responses-quota-{is_stream}"
    with pytest.raises(openai.RateLimitError) as raised:
        openai_client.responses.create(
            model=MODEL,
            input="Hi",
            stream=is_stream,
            extra_body=simulate(key, name="insufficient_quota_daily"),
        )

    assert raised.value.code == "insufficient_quota"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(simulator.find(key)) == 1


def test_an_error_that_qwen_hides_in_a_stream_has_its_status(openai_client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        openai_client.responses.create(
            model=MODEL,
            input="Hi",
            stream=True,
            extra_body=simulate("responses-hidden", name="error_event_first", error="throttling_rate_quota"),
        )


# --- a Responses body where chat completions are expected (Cursor)


CURSOR = {
    "model": MODEL,
    "input": [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
    ],
    "tools": [WEATHER],
    "store": False,
    "stream": True,
    "stream_options": {"include_usage": True},
}


def test_it_is_answered_with_chat_completions(worker: Worker, simulator: QwenSimulator) -> None:
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={**CURSOR, **simulate("responses-cursor", text=DELTAS, tool_calls=[])},
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
    )

    assert response.status_code == 200
    *events, done, nothing = response.text.split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == TEXT
    assert chunks[-1]["usage"]
    chat = chat_of(simulator, "responses-cursor")
    assert [function["function"]["name"] for function in chat["tools"]] == ["get_weather"]
    assert [text_of(message["content"]) for message in said_in(chat)] == ["Weather?"]


def test_its_mistakes_are_told_in_its_own_words(worker: Worker) -> None:
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={**CURSOR, "previous_response_id": "resp_1"},
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
    )

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "previous_response_id"
