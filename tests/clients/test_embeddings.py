"""Embeddings as RAG tools ask for them: LangChain, LlamaIndex and the Vercel AI SDK."""

import json
from collections.abc import Iterator

import pytest
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai import OpenAIEmbedding
from pydantic import SecretStr

from tests.clients.node_clients import run_client
from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.embeddings_endpoint import vector
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker, start_quick_worker

MODEL = "text-embedding-v4"
TEXTS = [f"text number {number}: 你好" for number in range(33)]
VECTORS = [vector(text) for text in TEXTS]


@pytest.fixture(scope="module")
def key_worker(simulator: QwenSimulator) -> Iterator[Worker]:
    """A Worker with a key: logins have no embeddings."""
    key = json.dumps({"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url})
    running = start_quick_worker({"QWEN_API_KEY": key, "CLIENT_KEYS": CLIENT_KEY})
    yield running
    running.stop()


async def test_langchain(key_worker: Worker) -> None:
    embeddings = OpenAIEmbeddings(
        model=MODEL,
        base_url=key_worker.openai_base_url,
        api_key=SecretStr(CLIENT_KEY),
        check_embedding_ctx_length=False,
    )

    assert embeddings.embed_documents(TEXTS) == VECTORS
    assert await embeddings.aembed_query(TEXTS[0]) == VECTORS[0]


async def test_llama_index(key_worker: Worker) -> None:
    embedding = OpenAIEmbedding(
        model_name=MODEL, api_base=key_worker.openai_base_url, api_key=CLIENT_KEY, embed_batch_size=100
    )

    assert embedding.get_text_embedding_batch(TEXTS) == VECTORS
    assert await embedding.aget_query_embedding(TEXTS[0]) == VECTORS[0]


def test_vercel_ai_sdk(key_worker: Worker) -> None:
    reported = run_client("vercel.mjs", "embedMany", key_worker, model=MODEL, values=TEXTS)

    assert reported["embeddings"] == VECTORS
    assert reported["usage"]["tokens"] == 4 * len(TEXTS)
