"""openai-python itself reads what we answer: `create`, `stream` and `parse`."""

import json
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from pydantic import BaseModel

from qwen_worker.api.responses.request import to_chat
from tests.support.chunks import DONE
from tests.unit.api.responses.translating import END, call, finish, text, thought, translator

TOOL: Any = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}


def client(*chunks: bytes) -> OpenAI:
    """A client of a gateway whose host always answers with these chunks, or with `{"a": 1}` as a whole."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        translated = to_chat(json.loads(request.content))
        stream = translator(translated.asked)
        if translated.stream:
            data = stream.keep_alive() + b"".join(map(stream.feed, chunks)) + stream.end(None)
            return httpx2.Response(200, content=data, headers={"content-type": "text/event-stream"})
        completion = {"choices": [{"message": {"content": '{"a": 1}'}, "finish_reason": "stop"}]}
        return httpx2.Response(200, json=stream.whole(completion))

    return OpenAI(
        api_key="test-client-key",
        base_url="http://127.0.0.1/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


class Answer(BaseModel):
    a: int


def test_create() -> None:
    assert client().responses.create(model="q", input="Hi").output_text == '{"a": 1}'


def test_parse() -> None:
    assert client().responses.parse(model="q", input="Hi", text_format=Answer).output_parsed == Answer(a=1)


def test_create_with_stream() -> None:
    chunks = (thought("Hm"), text("Hel"), text("lo"), END)
    events = list(client(*chunks).responses.create(model="q", input="Hi", stream=True))

    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "Hello"


def test_stream_with_calls() -> None:
    chunks = (
        text("I look."),
        call(0, '{"at":', call_id="a", name="look"),
        call(1, "{}", call_id="b", name="look"),
        call(0, "1}"),
        finish("tool_calls"),
        DONE,
    )
    with client(*chunks).responses.stream(model="q", input="Hi", tools=[TOOL]) as stream:
        output = stream.get_final_response().output

    assert [item.type for item in output] == ["message", "function_call", "function_call"]
    assert [item.arguments for item in output if item.type == "function_call"] == ['{"at":1}', "{}"]


def test_stream_parsed() -> None:
    with client(text('{"a"'), text(": 1}"), END).responses.stream(
        model="q", input="Hi", text_format=Answer
    ) as stream:
        assert stream.get_final_response().output_parsed == Answer(a=1)


@pytest.mark.parametrize(
    ("chunks", "last"),
    [((text("a"),), "response.failed"), ((text("a"), finish("length")), "response.incomplete")],
)
def test_an_unfinished_stream_is_seen_as_one(chunks: tuple[bytes, ...], last: str) -> None:
    with client(*chunks).responses.stream(model="q", input="Hi") as stream:
        assert [event.type for event in stream][-1] == last
