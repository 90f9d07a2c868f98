"""Requests to the Worker on the Pythons of production, called as workerd calls it there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from qwen_worker.version import __version__
from tests.production.conftest import CLIENT_KEY
from tests.production.pyodide_worker import PyodideRuntime, PyodideWorker
from tests.simulator import QwenSimulator
from tests.support.upstream_faults import EXPECTATIONS, Expectation

MODEL = "qwen3-coder-plus"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Grüße, 你好 🙂"}]
DELTAS = ["Hello", ",", " ha", " ha", " ha", ": ", "你好", " 🙂"]
AUTHORIZATION = {"authorization": f"Bearer {CLIENT_KEY}"}
FAULTS = [
    expectation
    for expectation in EXPECTATIONS
    if expectation.fault
    in ("rate_limit_exceeded", "context_length", "html_200", "empty_200", "connection_reset")
]


def key_for(worker: PyodideWorker, name: str) -> str:
    """A key for the simulator that tells the runtimes' requests apart."""
    return f"{name}-python{worker.python}"


def last_message(simulator: QwenSimulator, key: str) -> Any:
    """The last message of the one chat request with this key, as it came to Qwen."""
    (received,) = simulator.find(key)
    body: Any = received.body
    return body["messages"][-1]


def test_the_python_is_the_one_of_production(worker: PyodideWorker, runtime: PyodideRuntime) -> None:
    assert worker.python.startswith(f"{runtime.python}.")


def test_every_module_can_be_imported(worker: PyodideWorker, source: Path) -> None:
    files = {
        ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for file in source.rglob("*.py")
    }

    loaded = worker.run("import sys; ' '.join(sys.modules)").split()

    assert files - set(loaded) == set()


def test_health(worker: PyodideWorker) -> None:
    response = httpx.get(f"{worker.base_url}/health")

    assert response.status_code == 200
    assert response.json()["version"] == f"qwen-worker-{__version__}"
    assert response.json()["status"] == "ok"


def test_models_are_listed(client: OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer another-key"}])
def test_a_missing_or_wrong_key_is_refused(worker: PyodideWorker, headers: dict[str, str]) -> None:
    response = httpx.get(f"{worker.openai_base_url}/models", headers=headers)

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_completion(worker: PyodideWorker, client: OpenAI, simulator: QwenSimulator) -> None:
    key = key_for(worker, "completion")

    completion = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, extra_body={"simulate": {"key": key, "text": DELTAS}}
    )

    assert completion.choices[0].message.content == "".join(DELTAS)
    assert last_message(simulator, key) == MESSAGES[-1]


def test_a_body_of_unknown_length(worker: PyodideWorker, simulator: QwenSimulator) -> None:
    key = key_for(worker, "chunked")

    def body() -> Iterator[bytes]:
        yield b'{"model": "qwen3-coder-plus", "simulate": {"key": "' + key.encode() + b'"}, '
        yield '"messages": [{"role": "user", "content": "Grüße"}]}'.encode()

    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions", content=body(), headers=AUTHORIZATION, timeout=20
    )

    assert response.status_code == 200
    assert last_message(simulator, key) == {"role": "user", "content": "Grüße"}


@pytest.mark.parametrize("text", [DELTAS, [" ha"] * 500])
def test_a_stream(worker: PyodideWorker, client: OpenAI, text: list[str]) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        extra_body={"simulate": {"text": text, "chunk_delay_ms": 0}},
    )

    chunks = list(stream)

    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "".join(
        text
    )
    assert [choice.finish_reason for choice in chunks[-1].choices] == ["stop"]


def test_a_stream_ends_once_and_is_not_cached(worker: PyodideWorker) -> None:
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={"model": MODEL, "messages": MESSAGES, "stream": True, "simulate": {"text": DELTAS}},
        headers=AUTHORIZATION,
        timeout=20,
    )

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "no-cache" in response.headers["cache-control"]
    assert response.text.endswith("\n\ndata: [DONE]\n\n")
    assert response.text.count("[DONE]") == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"end_after": 3}, "stream_truncated"), ({"error_event_after": 3}, None), ({"abort_after": 3}, None)],
)
def test_a_stream_that_breaks_says_so(worker: PyodideWorker, fault: dict[str, Any], code: str | None) -> None:
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={"model": MODEL, "messages": MESSAGES, "stream": True, "simulate": {**fault, "text": DELTAS}},
        headers=AUTHORIZATION,
        timeout=20,
    )

    assert response.status_code == 200
    assert '"error": {' in response.text or '"error":{' in response.text
    assert code is None or code in response.text


def test_keep_alive_comments_while_qwen_is_silent(worker: PyodideWorker) -> None:
    worker.deploy({"STREAM_KEEP_ALIVE_SECONDS": "1"})

    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        json={
            "model": MODEL,
            "messages": MESSAGES,
            "stream": True,
            "simulate": {"text": DELTAS, "delay_before_first_chunk_ms": 2500},
        },
        headers=AUTHORIZATION,
        timeout=20,
    )

    worker.deploy({"STREAM_KEEP_ALIVE_SECONDS": None})
    assert response.text.startswith(": ")
    assert response.text.endswith("\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("expected", FAULTS, ids=lambda expected: expected.fault)
def test_errors_of_qwen(client: OpenAI, expected: Expectation, stream: bool) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=stream, extra_body={"simulate": expected.fault}
        )

    assert raised.value.status_code == expected.status
    assert raised.value.code == expected.code
    assert raised.value.request_id


@pytest.mark.parametrize("level", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("place", ['"x":', '"messages":[{"role":"user","content":"x","x":', '"tools":[{"x":'])
def test_a_deeply_nested_body_is_refused_and_the_isolate_lives(
    worker: PyodideWorker, client: OpenAI, level: str, place: str
) -> None:
    """Without the check the scanner exhausts the stack of the isolate, which ends all of its requests."""
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        content=f"{{{place}{level * 100_000}".encode(),
        headers={**AUTHORIZATION, "content-type": "application/json"},
    )

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"
    assert "nested too deeply" in response.json()["error"]["message"]
    assert client.models.list().data, "the isolate lives"


def test_a_body_at_the_limit_of_nesting_is_answered(worker: PyodideWorker, simulator: QwenSimulator) -> None:
    key = key_for(worker, "nested")
    schema = '{"not":' * 480 + '{"additionalProperties":"\u00e9"}' + "}" * 480
    tool = f'{{"type":"function","function":{{"name":"f","strict":true,"parameters":{schema}}}}}'
    body = (
        f'{{"model":"{MODEL}","messages":[{{"role":"user","content":"x"}}],"tools":[{tool}],'
        f'"simulate":{{"key":"{key}"}}}}'
    )

    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        content=body.encode(),
        headers={**AUTHORIZATION, "content-type": "application/json"},
    )

    assert response.status_code == 200, response.text
    assert simulator.find(key)


def test_head_has_no_body(worker: PyodideWorker) -> None:
    response = httpx.head(f"{worker.base_url}/health")

    assert response.status_code == 200
    assert response.content == b""


def test_preflight(worker: PyodideWorker) -> None:
    response = httpx.options(
        f"{worker.openai_base_url}/chat/completions",
        headers={"access-control-request-headers": "authorization,x-stainless-os", "origin": "http://a.test"},
    )

    assert response.status_code == 204
    assert response.headers["access-control-allow-headers"] == "authorization,x-stainless-os"


def test_an_unusual_method(worker: PyodideWorker) -> None:
    response = httpx.request("PROPFIND", f"{worker.openai_base_url}/models", headers=AUTHORIZATION)

    assert response.status_code == 405
    assert response.headers["allow"]


def test_an_unknown_path(worker: PyodideWorker) -> None:
    response = httpx.get(f"{worker.base_url}/v1/nothing", headers=AUTHORIZATION)

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
