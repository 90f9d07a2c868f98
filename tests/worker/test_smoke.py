"""The whole way, once as each SDK does it: client, Worker on the real workerd, simulated Qwen, back."""

from typing import Any, TypedDict

import httpx
import pytest
from openai import AsyncOpenAI, AuthenticationError, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from qwen_worker.version import __version__
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.node_client import run_node
from tests.worker.harness.runtime import Worker

MODEL = "qwen3-coder-plus"
# What the simulator is told to answer: a client must get each delta, repeats and other scripts included.
DELTAS = ["Hello", ",", " ha", " ha", " ha", ": ", "你好", " 🙂"]
TEXT = "".join(DELTAS)


class Question(TypedDict):
    """The part of a request that all tests here share."""

    model: str
    messages: list[ChatCompletionMessageParam]


QUESTION = Question(model=MODEL, messages=[{"role": "user", "content": "Say hello."}])


def simulate(key: str) -> dict[str, Any]:
    """Asks the simulator for DELTAS as the answer; it remembers the request by `key`."""
    return {"simulate": {"key": key, "text": DELTAS}}


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    """The text that a client has when it joins the deltas."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def assert_complete(chunks: list[ChatCompletionChunk]) -> None:
    """A stream that carried the whole answer and said why it ended, once."""
    assert text_of(chunks) == TEXT
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["stop"]


def assert_reached_qwen(simulator: QwenSimulator, key: str) -> None:
    """The request crossed the wire to Qwen once, with our login and not with the client's key."""
    (received,) = simulator.find(key)
    assert received.status == 200
    assert received.bearer
    assert received.bearer != CLIENT_KEY
    assert isinstance(received.body, dict)
    assert received.body["model"] == MODEL


def test_health_answers_without_a_key(worker: Worker) -> None:
    response = httpx.get(f"{worker.base_url}/health")

    assert response.status_code == 200
    health = response.json()
    assert health["status"] == "ok"
    assert health["version"] == f"qwen-worker-{__version__}"
    assert isinstance(health["uptime"], int)
    assert health["uptime"] >= 0


def test_models_are_listed(openai_client: OpenAI) -> None:
    assert MODEL in [model.id for model in openai_client.models.list()]


def test_a_wrong_key_is_refused(worker: Worker) -> None:
    with (
        OpenAI(base_url=worker.openai_base_url, api_key="another-key", max_retries=0) as client,
        pytest.raises(AuthenticationError) as refusal,
    ):
        client.models.list()

    assert refusal.value.code == "invalid_api_key"
    assert refusal.value.request_id


def test_python_sdk_gets_a_completion(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    completion = openai_client.chat.completions.create(**QUESTION, extra_body=simulate("python"))

    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert_reached_qwen(simulator, "python")


def test_python_sdk_streams(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    stream = openai_client.chat.completions.create(
        **QUESTION, stream=True, extra_body=simulate("python-stream")
    )

    assert_complete(list(stream))
    assert_reached_qwen(simulator, "python-stream")


async def test_async_python_sdk_gets_a_completion(
    async_openai_client: AsyncOpenAI, simulator: QwenSimulator
) -> None:
    completion = await async_openai_client.chat.completions.create(**QUESTION, extra_body=simulate("async"))

    assert completion.choices[0].message.content == TEXT
    assert_reached_qwen(simulator, "async")


async def test_async_python_sdk_streams(async_openai_client: AsyncOpenAI, simulator: QwenSimulator) -> None:
    stream = await async_openai_client.chat.completions.create(
        **QUESTION, stream=True, extra_body=simulate("async-stream")
    )

    assert_complete([chunk async for chunk in stream])
    assert_reached_qwen(simulator, "async-stream")


def test_the_stream_arrives_while_it_is_made(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    slow = {"simulate": {"key": "slow", "text": ["first", " second"], "chunk_delay_ms": 400}}
    stream = openai_client.chat.completions.create(**QUESTION, stream=True, extra_body=slow)

    first = next(chunk for chunk in stream if chunk.choices[0].delta.content)

    assert first.choices[0].delta.content == "first"
    assert simulator.find("slow")[0].outcome == "pending"
    stream.close()


def test_node_sdk_gets_a_completion(worker: Worker, simulator: QwenSimulator) -> None:
    reported = run_node("chat.mjs", node_parameters(worker, stream=False, key="node"))

    assert reported["completion"]["choices"][0]["message"]["content"] == TEXT
    assert_reached_qwen(simulator, "node")


def test_node_sdk_streams(worker: Worker, simulator: QwenSimulator) -> None:
    reported = run_node("chat.mjs", node_parameters(worker, stream=True, key="node-stream"))

    assert_complete([ChatCompletionChunk.model_validate(chunk) for chunk in reported["chunks"]])
    assert_reached_qwen(simulator, "node-stream")


def test_node_sdk_is_told_of_a_wrong_key(worker: Worker) -> None:
    parameters = {**node_parameters(worker, stream=False, key="node-wrong-key"), "apiKey": "another-key"}

    error = run_node("chat.mjs", parameters)["error"]

    assert (error["class"], error["status"], error["code"]) == ("AuthenticationError", 401, "invalid_api_key")
    assert error["requestID"]


def test_the_log_tells_the_story_without_secrets(
    openai_client: OpenAI, worker: Worker, simulator: QwenSimulator
) -> None:
    question = "What is the secret recipe of the house?"
    completion = openai_client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": question}]
    )

    request_id = completion.headers["x-request-id"]
    worker.log.wait_for("new chat completion request", request_id=request_id)
    worker.log.wait_for("upstream response", request_id=request_id, status=200)
    answer = completion.parse().choices[0].message.content
    assert answer
    tokens = [received.bearer for received in simulator.chats]
    for secret in (CLIENT_KEY, question, answer, *tokens):
        assert secret not in worker.log.text()


def node_parameters(worker: Worker, *, stream: bool, key: str) -> dict[str, Any]:
    """What chat.mjs is given to ask for DELTAS."""
    request = {**QUESTION, **simulate(key), "stream": stream}
    return {"baseURL": worker.openai_base_url, "apiKey": CLIENT_KEY, "request": request}
