"""Vectors as floats and in base64, on the Pythons of production."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.production.pyodide_worker import PyodideWorker
from tests.simulator import QwenSimulator
from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.embeddings_endpoint import vector

MODEL = "text-embedding-v4"


@pytest.fixture(autouse=True)
def key(worker: PyodideWorker, simulator: QwenSimulator) -> Iterator[None]:
    """Deploys the Worker with a key, whose host has embeddings."""
    key = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url}
    worker.deploy({"QWEN_API_KEY": json.dumps(key)})
    yield
    worker.deploy({"QWEN_API_KEY": None})


@pytest.mark.parametrize("count", [1, 12])
def test_embeddings(client: OpenAI, count: int) -> None:
    texts = [f"text {number}" for number in range(count)]

    floats = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    packed = client.embeddings.create(model=MODEL, input=texts, encoding_format="base64")

    assert [item.embedding for item in floats.data] == [vector(text) for text in texts]
    encoded = [base64.b64encode(struct.pack("<1024f", *vector(text))).decode() for text in texts]
    in_base64: list[Any] = [item.embedding for item in packed.data]
    assert in_base64 == encoded
    assert floats.usage == packed.usage
