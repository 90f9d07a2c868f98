"""A Responses body at the path of chat completions, as Cursor sends it, is answered with chat completions."""

import json
from typing import Any

import pytest

from tests.support.chunks import DONE, FINISH, USAGE_CHUNK, text
from tests.support.clock import virtual
from tests.support.one_account import OneAccount
from tests.support.ports import ScriptedResponse
from tests.support.streams import StreamResponse

COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}
FLAT_TOOL = {
    "type": "function",
    "name": "read_file",
    "description": "Reads a file.",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
}
CURSOR: dict[str, Any] = {
    "model": "qwen3-coder-plus",
    "input": [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": [{"type": "input_text", "text": "Read a.py, ä 🙂"}]},
        {"type": "function_call", "call_id": "call-1", "name": "read_file", "arguments": '{"path":"a.py"}'},
        {"type": "function_call_output", "call_id": "call-1", "output": "print()"},
    ],
    "tools": [FLAT_TOOL],
    "tool_choice": "auto",
    "temperature": 1,
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "user": "someone",
}


async def test_the_answer_is_a_chat_completion() -> None:
    qwen = OneAccount(ScriptedResponse(200, COMPLETION))

    told = await qwen.post(CURSOR)

    assert (told.status, json.loads(told.data)) == (200, COMPLETION)
    sent = qwen.sent
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][1]["content"] == "Read a.py, ä 🙂"
    assert sent["messages"][2]["tool_calls"][0]["function"]["name"] == "read_file"
    assert sent["tools"][0]["function"]["name"] == "read_file"
    assert sent["temperature"] == 1
    assert not {"input", "store", "include"} & set(sent)


async def test_a_text_as_input_is_a_question() -> None:
    qwen = OneAccount(ScriptedResponse(200, COMPLETION))

    assert (await qwen.post({"input": "hello", "instructions": "Be brief."})).status == 200

    assert [message["content"] for message in qwen.sent["messages"]] == ["Be brief.", "hello"]


@pytest.mark.parametrize("asks_for_usage", [False, True])
@virtual
async def test_a_stream_is_one_of_chunks(asks_for_usage: bool) -> None:
    usage = USAGE_CHUNK if asks_for_usage else b""
    stream = text("Hello") + FINISH + usage + DONE
    options = {"stream_options": {"include_usage": True}} if asks_for_usage else {}
    qwen = OneAccount(StreamResponse(stream))

    told = await qwen.post({**CURSOR, "stream": True, **options})

    assert told.data == stream
    assert told.headers["content-type"].startswith("text/event-stream")
    assert qwen.sent["stream"] is True
    assert qwen.sent.get("stream_options") == options.get("stream_options")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": [{"role": "nobody", "content": "x"}]}, "input[0].role"),
        ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": None}, "messages"),
        ({"model": "qwen3-max"}, "messages"),
    ],
)
async def test_what_makes_no_sense_names_the_field_that_was_sent(body: dict[str, Any], param: str) -> None:
    told = await OneAccount().post(body)

    assert (told.status, told.error["param"]) == (400, param)


async def test_messages_win_over_input() -> None:
    qwen = OneAccount(ScriptedResponse(200, COMPLETION))

    await qwen.post({"messages": [{"role": "user", "content": "from messages"}], "input": "from input"})

    assert qwen.sent["messages"] == [{"role": "user", "content": "from messages"}]
