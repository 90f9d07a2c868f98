"""What a stream keeps of the request that it answers: a conversation of megabytes must not last as long."""

import asyncio
import gc
import json
import tracemalloc
from typing import Any

import pytest

from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from tests.support.accounts import new_pool
from tests.support.chunks import DONE, FINISH, text
from tests.support.clock import START_MS, VirtualClock, virtual
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, make_runtime
from tests.support.responses import gateway_response
from tests.support.streams import MemoryPipe, StreamResponse

WORDS = "word " * 400_000
MESSAGES = [{"role": "user", "content": WORDS}]
KEYS = {"one": '"key-a"', "two": '["key-a", "key-b"]'}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}),
        ("/v1/chat/completions", {"messages": MESSAGES, "n": 2}),
        ("/v1/completions", {"prompt": WORDS}),
        ("/v1/responses", {"input": WORDS}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
    ],
)
@virtual
async def test_a_stream_does_not_keep_its_request(path: str, fields: dict[str, Any], keys: str) -> None:
    answer = StreamResponse(text("Hello"), 100.0, text("Hello"), FINISH, DONE)
    settings = Settings.from_env({"QWEN_API_KEY": KEYS[keys], "QWEN_BASE_URL": "https://qwen.example/v1"})
    gateway = Gateway(settings, new_pool(settings), LogRecorder(), started_ms=START_MS)
    request = ScriptedRequest("POST", path, body=json.dumps({"stream": True, "model": "qwen", **fields}))
    fetcher = ScriptedFetcher(lambda _: answer)
    runtime = make_runtime(clock=VirtualClock(), fetcher=fetcher)
    tracemalloc.start()
    try:
        response = await gateway_response(gateway, request, runtime)
        fetcher.requests.clear()
        await asyncio.sleep(50)
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert response.status == 200
    assert kept_bytes < len(WORDS) / 2
    assert isinstance(response.body, MemoryPipe)
    await response.body.content()
