"""Embeddings through the real workerd, with OpenAI's own clients."""

import base64
import json
import struct
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import OpenAI

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.embeddings_endpoint import vector
from tests.simulator.json_types import JsonValue
from tests.simulator.recording import ReceivedRequest
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartWorker, oauth_variables
from tests.worker.harness.node_client import run_node
from tests.worker.harness.runtime import Worker, start_quick_worker

MODEL = "text-embedding-v4"


@pytest.fixture(scope="module")
def key_worker(simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker with a key, whose host has embeddings, and a login, whose host has none."""
    running = start_quick_worker(
        {
            **oauth_variables(simulator),
            "QWEN_API_KEY": f'{{"api_key": "{DEFAULT_API_KEY}", "base_url": "{simulator.api_url}"}}',
        }
    )
    yield running
    running.stop()


@pytest.fixture
def client(key_worker: Worker) -> Iterator[OpenAI]:
    with OpenAI(base_url=key_worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as openai_client:
        yield openai_client


def asked(simulator: QwenSimulator, text: str) -> list[ReceivedRequest]:
    """The requests that a host got with this text among the inputs."""
    requests = simulator.recorder.requests("embeddings")
    return [request for request in requests if text in request.raw_body.decode()]


def test_a_text_becomes_a_vector(client: OpenAI, simulator: QwenSimulator) -> None:
    raw = client.embeddings.with_raw_response.create(model=MODEL, input="a single text: 你好")
    answer = raw.parse()

    assert answer.data[0].embedding == vector("a single text: 你好")
    assert answer.usage.total_tokens == 4
    assert raw.headers["x-qwen-account"] == "QWEN_API_KEY"


def test_more_texts_than_a_host_takes_are_put_together_again(
    client: OpenAI, simulator: QwenSimulator
) -> None:
    texts = [f"number {number} of the 你好 many" for number in range(64)]

    answer = client.embeddings.create(model=MODEL, input=texts, dimensions=64)

    assert [item.index for item in answer.data] == list(range(64))
    assert [item.embedding for item in answer.data] == [vector(text, 64) for text in texts]
    assert answer.usage.prompt_tokens == 64 * 6
    sizes = [len(request.body["input"]) for request in asked(simulator, "of the")]  # type: ignore[index, call-overload, arg-type]
    assert sorted(sizes) == [4, *[10] * 6]


def test_floats_of_several_batches_are_put_together_as_the_host_spelled_them(key_worker: Worker) -> None:
    texts = [f"float {number}" for number in range(21)]

    answer = httpx.post(
        f"{key_worker.openai_base_url}/embeddings",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={"model": MODEL, "input": texts, "encoding_format": "float"},
        timeout=30,
    ).json()

    assert [item["index"] for item in answer["data"]] == list(range(21))
    assert [item["embedding"] for item in answer["data"]] == [vector(text) for text in texts]
    assert answer["usage"] == {"prompt_tokens": 42, "total_tokens": 42}
    assert answer["model"] == MODEL


def test_base64_is_little_endian_float32(key_worker: Worker) -> None:
    answer = httpx.post(
        f"{key_worker.openai_base_url}/embeddings",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={"model": MODEL, "input": ["one"], "encoding_format": "base64", "dimensions": 64},
        timeout=30,
    ).json()

    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert [*struct.unpack("<64f", packed)] == vector("one", 64)


@pytest.fixture(scope="module")
def only_key(simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker with one account, which is never in cooldown."""
    key = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url}
    running = start_quick_worker(
        {"QWEN_API_KEY": json.dumps(key), "OPENAI_API_KEY": CLIENT_KEY, "LOG_LEVEL": "info"}
    )
    yield running
    running.stop()


def create(worker: Worker, **fields: object) -> httpx.Response:
    return httpx.post(
        f"{worker.openai_base_url}/embeddings",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={"model": MODEL, "input": "a text", **fields},
        timeout=30,
    )


NUMBERS = [place / 7 for place in range(1024)]
USAGE = {"prompt_tokens": 7, "total_tokens": 7}
LONG = json.dumps({"usage": USAGE, "data": [{"embedding": NUMBERS, "index": 0}], "id": "ü"}, indent=1)
"""An answer that is longer than what is looked at of its ends."""


@pytest.mark.parametrize("before", ["", " \n", "\ufeff"])
def test_a_long_answer_goes_on_as_the_very_bytes_that_came(
    only_key: Worker, simulator: QwenSimulator, before: str
) -> None:
    simulator.faults.add({"status": 200, "body": before + LONG}, endpoint="embeddings")

    response = create(only_key, encoding_format="float")

    assert response.content == (before + LONG).encode()
    line = only_key.log.wait_for("completion ended", request_id=response.headers["x-request-id"])
    assert line["usage"] == USAGE


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (LONG[:-1] + ',"error":{"code":"Throttling","message":"Slow down."}}', (429, "rate_limit_exceeded")),
        ({"code": "Throttling", "message": "Slow down." * 1_000}, (429, "rate_limit_exceeded")),
        ("<html>" + "x" * 5_000, (502, "upstream_blocked")),
        ({"data": None, "id": "x" * 5_000}, (502, "upstream_blocked")),
    ],
    ids=["vectors and an error", "a long error", "HTML", "no data"],
)
def test_what_is_no_list_of_embeddings_has_its_own_status(
    only_key: Worker,
    simulator: QwenSimulator,
    encoding_format: str,
    body: JsonValue,
    expected: tuple[int, str],
) -> None:
    simulator.faults.add({"status": 200, "body": body}, endpoint="embeddings")

    response = create(only_key, encoding_format=encoding_format)

    assert (response.status_code, response.json()["error"]["code"]) == expected


@pytest.mark.parametrize(
    ("body", "encoding_format"),
    [
        (LONG[:-1], "float"),
        (LONG[: len(LONG) // 2], "base64"),
        ('{"data":[{"embedding":[' * 100_000, "base64"),
    ],
    ids=["last byte", "half", "deep"],
)
def test_what_was_cut_off_is_asked_for_again(
    only_key: Worker, simulator: QwenSimulator, body: str, encoding_format: str
) -> None:
    simulator.faults.add({"status": 200, "body": body}, endpoint="embeddings")

    response = create(only_key, encoding_format=encoding_format)

    assert response.json()["model"] == MODEL
    [retried] = only_key.events("retrying", request_id=response.headers["x-request-id"])
    assert retried["code"] == "upstream_unavailable"


@pytest.mark.parametrize("embedding", [[1, None], ["1"], [[1]], [True], [1e39], None, '"],["'])
def test_a_vector_that_cannot_be_made_base64_is_a_fault_of_the_host(
    only_key: Worker, simulator: QwenSimulator, embedding: JsonValue
) -> None:
    answer: JsonValue = {"status": 200, "body": {"data": [{"embedding": embedding, "index": 0}]}}
    simulator.faults.add(answer, endpoint="embeddings", times=2)

    refused = create(only_key, encoding_format="base64")
    passed_on = create(only_key, encoding_format="float")

    if isinstance(embedding, str):
        assert refused.json()["data"][0]["embedding"] == embedding
    else:
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_unavailable")
    assert passed_on.json()["data"][0]["embedding"] == embedding


@pytest.mark.parametrize("name", ["text-embedding-3-small", "text-embedding-ada-002"])
def test_openais_names_mean_qwens_model(client: OpenAI, name: str) -> None:
    assert client.embeddings.create(model=name, input="hello").model == MODEL


def test_without_a_model_the_default_one_is_used(key_worker: Worker) -> None:
    answer = httpx.post(
        f"{key_worker.base_url}/embeddings",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={"input": "hello"},
        timeout=30,
    )

    assert answer.json()["model"] == MODEL


def test_the_failure_of_one_batch_is_the_failure_of_the_request(
    client: OpenAI, simulator: QwenSimulator
) -> None:
    simulator.faults.add("data_inspection_failed", endpoint="embeddings")

    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=MODEL, input=[f"failing {number}" for number in range(25)])

    assert refused.value.code == "content_filter"


def test_tokens_are_refused_with_the_setting_that_helps(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as refused:
        client.embeddings.create(model=MODEL, input=[[9906, 1917], [11]])

    assert refused.value.param == "input"


def test_a_login_has_no_embeddings(start_worker: StartWorker) -> None:
    worker = start_worker()

    with (
        OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="a host that has embeddings") as missing,
    ):
        client.embeddings.create(model=MODEL, input="hello")

    assert missing.value.code == "model_not_found"


def test_openai_node(key_worker: Worker) -> None:
    texts = [f"node {number}" for number in range(12)]

    reported = run_node(
        "embeddings.mjs",
        {"baseURL": key_worker.openai_base_url, "apiKey": CLIENT_KEY, "model": MODEL, "input": texts},
    )

    assert [item["index"] for item in reported["data"]] == list(range(12))
    assert [item["embedding"] for item in reported["data"]] == [vector(text) for text in texts]
