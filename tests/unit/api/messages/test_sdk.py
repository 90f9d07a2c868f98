"""What anthropic-python makes of our streams, answers and errors. Nothing is sent: the answers are put in."""

import json
from typing import Any

import anthropic
import httpx2
import pytest

from qwen_worker import errors
from qwen_worker.api.messages.errors import error_body
from tests.unit.api.messages.streams import (
    call,
    calls,
    chunk,
    encoded,
    translated,
    translator,
    usage_chunk,
)

CHUNKS = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Hm."}),
    chunk({"content": "Let me look."}),
    calls(call(0, call_id="c1", name="read")),
    calls(call(0, '{"path": "/tmp/ü')),
    calls(call(0, '"}')),
    calls(call(1, "", call_id="c2", name="list")),
    chunk(finish="tool_calls"),
    usage_chunk(),
)
REQUEST: dict[str, Any] = {
    "model": "claude-test",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}


def client(status: int, content: bytes, **headers: str) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=content, headers=headers)

    transport = httpx2.MockTransport(answer)
    return anthropic.Anthropic(
        api_key="test", base_url="http://gateway.test", http_client=httpx2.Client(transport=transport)
    )


def stream_of(*chunks: dict[str, Any], done: bool = True) -> bytes:
    stream = translator()
    return stream.keep_alive() + stream.feed(encoded(chunks, done=done)) + stream.end(None)


def test_stream() -> None:
    sdk = client(200, stream_of(*CHUNKS), **{"content-type": "text/event-stream"})
    with sdk.messages.stream(**REQUEST) as stream:
        message = stream.get_final_message()
    expected = translated(*CHUNKS).message
    assert expected is not None
    assert [block.model_dump(exclude_none=True, include=set(told)) for block, told in
            zip(message.content, expected["content"], strict=True)] == expected["content"]  # fmt: skip
    assert message.stop_reason == "tool_use"
    assert message.usage.input_tokens == 40
    assert message.usage.cache_read_input_tokens == 60
    assert message.usage.output_tokens == 7


def test_a_stream_that_breaks_off_raises() -> None:
    content = stream_of(*CHUNKS[:3], done=False)
    sdk = client(200, content, **{"content-type": "text/event-stream"})
    with pytest.raises(anthropic.APIStatusError), sdk.messages.stream(**REQUEST) as stream:
        stream.get_final_message()


def test_whole() -> None:
    completion = {
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
    }
    content = json.dumps(translator().whole(completion)).encode()
    message = client(200, content, **{"content-type": "application/json"}).messages.create(**REQUEST)
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello"
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidRequest("bad"), anthropic.BadRequestError),
        (errors.InvalidApiKey("bad"), anthropic.AuthenticationError),
        (errors.NotFound("bad"), anthropic.NotFoundError),
        (errors.PayloadTooLarge("bad"), anthropic.RequestTooLargeError),
        (errors.QuotaExhausted("bad"), anthropic.RateLimitError),
        (errors.CredentialsRejected("bad"), anthropic.ServiceUnavailableError),
        (errors.UpstreamTimeout("bad"), anthropic.APIStatusError),
    ],
)
def test_errors(error: errors.ProxyError, expected: type[anthropic.APIStatusError]) -> None:
    headers = {"content-type": "application/json", "request-id": "req_1", **error.headers()}
    sdk = client(error.status, error_body(error, "req_1").encode(), **headers).with_options(max_retries=0)
    with pytest.raises(expected) as caught:
        sdk.messages.create(**REQUEST)
    assert caught.value.request_id == "req_1"
    assert "bad" in str(caught.value)
