"""Legacy completions from the client's request to the hosts and back, in virtual time."""

import json
from typing import Any

import pytest

from tests.support.chunks import DONE, FINISH, USAGE, USAGE_CHUNK, chunk, event, text
from tests.support.clock import virtual
from tests.support.ports import ScriptedResponse
from tests.support.streams import StreamResponse
from tests.unit.api.completions.world import BEIJING, KEY, NATIVE, REFUSAL, TURBO, World, completion, joined

FIM = "<|fim_prefix|>def f():\n    <|fim_suffix|>\n\nf()<|fim_middle|>"


# --- through chat


@virtual
async def test_a_plain_prompt_is_continued_as_a_prefix() -> None:
    world = World(completion(" fox"))

    answer = await world.answer(prompt="The quick brown", max_tokens=5, temperature=0, user="u", suffix=None)

    assert answer == {
        "id": "chatcmpl-1",
        "object": "text_completion",
        "created": 7,
        "model": "m",
        "choices": [{"text": " fox", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert world.url.endswith("/compatible-mode/v1/chat/completions")
    [sent] = world.sent
    assert sent["messages"][-1] == {"role": "assistant", "content": "The quick brown", "partial": True}
    assert sent["messages"][0]["role"] == "user"
    assert {name: sent[name] for name in ("model", "max_tokens", "temperature", "user")} == {
        "model": "qwen3-coder-plus",
        "max_tokens": 5,
        "temperature": 0,
        "user": "u",
    }
    assert not {"prompt", "suffix", "echo"} & set(sent)


@virtual
@pytest.mark.parametrize("fields", [{"prompt": FIM}, {"prompt": "def f():\n    ", "suffix": "\n\nf()"}])
async def test_a_gap_is_filled_by_an_instruction(fields: dict[str, str]) -> None:
    world = World(completion("```python\nreturn 1\n```"))

    answer = await world.answer(**fields)

    assert answer["choices"][0]["text"] == "return 1"
    system, user = world.sent[0]["messages"]
    assert system["role"] == "system"
    assert user["content"] == "<before>def f():\n    </before>\n<after>\n\nf()</after>"
    assert "fim_" not in json.dumps(world.sent)


@virtual
async def test_a_model_that_thinks_is_told_not_to() -> None:
    world = World(completion("x"))
    await world.answer(prompt="a", model="qwen3.7-plus")
    await world.answer(prompt="a", model="qwen3-coder-plus")

    assert world.sent[0]["enable_thinking"] is False
    assert "enable_thinking" not in world.sent[1]


@virtual
@pytest.mark.parametrize("stream", [False, True])
async def test_echo_begins_with_the_prompt(stream: bool) -> None:
    if stream:
        world = World(StreamResponse(text(" fox") + FINISH + DONE))
        found = await world.stream(prompt="The quick brown", echo=True)
        assert joined(found) == "The quick brown fox"
    else:
        world = World(completion(" fox"))
        answer = await world.answer(prompt="The quick brown", echo=True)
        assert answer["choices"][0]["text"] == "The quick brown fox"


@virtual
async def test_a_stream_has_the_legacy_shape() -> None:
    first = event(chunk("", created=7, model="m"))
    world = World(StreamResponse(first, text("a"), text("b"), FINISH + USAGE_CHUNK + DONE))

    found = await world.stream(prompt="x", stream_options={"include_usage": True})

    *chunks, usage, done = found
    assert done == "[DONE]"
    assert joined(chunks) == "ab"
    assert {(c["id"], c["object"], c["created"], c["model"]) for c in chunks} == {
        ("chatcmpl-1", "text_completion", 7, "m")
    }
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("delta" not in choice for c in chunks for choice in c["choices"])
    assert (usage["choices"], usage["usage"]) == ([], USAGE)
    assert world.logs.events("stream ended")[0]["usage"] == USAGE


@virtual
async def test_usage_that_nobody_asked_for_is_no_chunk() -> None:
    world = World(StreamResponse(text("a") + FINISH + USAGE_CHUNK + DONE))

    assert all(data["choices"] for data in (await world.stream(prompt="x"))[:-1])
    assert world.sent[0]["stream_options"] == {"include_usage": True}
    assert world.logs.events("stream ended")[0]["usage"] == USAGE


@virtual
async def test_a_stop_word_ends_the_stream_whatever_the_host_does() -> None:
    response = StreamResponse(text("one <|fim"), text("_prefix|> two"), 100.0, text("three"), FINISH + DONE)
    world = World(response)

    found = await world.stream(prompt=FIM, stop=["<|fim_prefix|>", "<|im_end|>"])

    assert joined(found) == "one "
    assert found[-2]["choices"][0]["finish_reason"] == "stop"
    assert response.body.is_cancelled
    assert world.sent[0]["stop"] == ["<|fim_prefix|>", "<|im_end|>"]


@virtual
async def test_stop_words_that_a_code_fence_meets_are_not_the_hosts_to_watch() -> None:
    world = World(completion("```py\nx = 1\ny = 2\n```"))

    answer = await world.answer(prompt=FIM, stop=["\n", "```", "STOP"])

    assert answer["choices"][0]["text"] == "x = 1"
    assert world.sent[0]["stop"] == ["STOP"]


@virtual
async def test_several_choices_of_a_stream() -> None:
    def part(index: int, content: str | None, finish: str | None = None) -> bytes:
        delta = {} if content is None else {"content": content}
        return event({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]})

    world = World(
        StreamResponse(part(0, "a"), part(1, "b"), part(0, None, "stop"), part(1, "c", "length") + DONE)
    )
    found = await world.stream(prompt="x", n=2)

    assert (joined(found, 0), joined(found, 1)) == ("a", "bc")
    reasons = {c["index"]: c["finish_reason"] for d in found[:-1] for c in d["choices"] if c["finish_reason"]}
    assert reasons == {0: "stop", 1: "length"}


@virtual
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([text("a")], "stream_truncated"),
        ([text("a"), event({"error": {"message": "No.", "code": "InternalError"}})], "stream_failed"),
        ([text("a"), b"data: nonsense\n\n"], "stream_failed"),
    ],
)
async def test_a_broken_stream_ends_with_an_error(script: list[bytes], code: str) -> None:
    world = World(StreamResponse(*script))

    *_, error, done = await world.stream(prompt="x")

    assert (error["error"]["code"], done) == (code, "[DONE]")


@virtual
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_first_event_has_its_own_status(stream: bool) -> None:
    world = World(ScriptedResponse(400, REFUSAL))

    status, body = await world.create({"prompt": "x", "stream": stream})

    assert (status, json.loads(body)["error"]["code"]) == (400, "content_filter")


# --- natively


@virtual
async def test_beijing_gets_the_clients_own_bytes() -> None:
    world = World(ScriptedResponse(200, NATIVE), BEIJING)
    body = json.dumps({"model": TURBO, "prompt": FIM, "stop": ["<|im_end|>"]}, indent=1).encode()

    status, answer = await world.create(body)

    assert (status, json.loads(answer)) == (200, NATIVE)
    assert world.fetcher.requests[0].body == body
    assert world.url == "https://dashscope.aliyuncs.com/compatible-mode/v1/completions"


@virtual
async def test_beijings_stream_goes_on_as_it_is() -> None:
    part = {**NATIVE, "choices": [{"text": "a", "index": 0, "logprobs": None, "finish_reason": None}]}
    stream = event(part) + event(NATIVE) + DONE
    world = World(StreamResponse(stream), BEIJING)

    _, answer = await world.create({"model": TURBO, "prompt": "x", "stream": True})

    assert answer == stream
    assert world.logs.events("stream ended")[0]["outcome"] == "completed"


@virtual
async def test_a_suffix_becomes_the_marks_that_beijings_model_knows() -> None:
    world = World(ScriptedResponse(200, NATIVE), BEIJING)

    await world.answer(model=TURBO, prompt="é(", suffix=")", user=None)

    expected = "<|fim_prefix|>é(<|fim_suffix|>)<|fim_middle|>"
    assert world.sent == [{"model": TURBO, "prompt": expected}]


@virtual
@pytest.mark.parametrize(
    ("variables", "fields"),
    [
        (BEIJING, {"model": "qwen3-coder-plus"}),
        (BEIJING, {"model": TURBO, "echo": True}),
        (KEY, {"model": TURBO}),
    ],
)
async def test_elsewhere_it_is_a_chat(variables: dict[str, str], fields: dict[str, Any]) -> None:
    world = World(completion("x"), variables)
    await world.answer(prompt="y", **fields)

    assert world.url.endswith("/chat/completions")


@virtual
async def test_an_account_says_how_it_is_asked() -> None:
    own = '{"api_key": "a", "base_url": "https://mine.example/v1", "completions": "native"}'
    world = World(ScriptedResponse(200, NATIVE), {"QWEN_API_KEY": own})
    await world.answer(model="codestral", prompt="x", echo=True)
    assert world.url == "https://mine.example/v1/completions"

    bridged = '{"api_key": "a", "completions": "bridged"}'
    world = World(completion("x"), {**BEIJING, "QWEN_API_KEY": bridged})
    await world.answer(model=TURBO, prompt="x")
    assert world.url.endswith("/chat/completions")


# --- what is refused


@virtual
@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "prompt", "missing_required_parameter"),
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": [1, 2]}, "prompt", "invalid_type"),
        ({"prompt": [[1], [2]]}, "prompt", "invalid_type"),
        ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
        ({"prompt": {}}, "prompt", "invalid_type"),
        ({"prompt": ["a"] * 21}, "prompt", "array_above_max_length"),
        ({"prompt": "a", "logprobs": 2}, "logprobs", "invalid_value"),
        ({"prompt": "a", "logprobs": 0}, "logprobs", "invalid_value"),
        ({"prompt": "a", "best_of": 2}, "best_of", "invalid_value"),
        ({"prompt": "a", "n": 0}, "n", "invalid_value"),
        ({"prompt": "a", "echo": "yes"}, "echo", "invalid_type"),
        ({"prompt": "a", "suffix": 1}, "suffix", "invalid_type"),
        ({"prompt": "a", "stop": 1}, "stop", "invalid_type"),
        ({"prompt": "a", "stop": [1]}, "stop[0]", "invalid_type"),
        ({"prompt": "a", "temperature": 3}, "temperature", "invalid_value"),
    ],
)
async def test_what_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    world = World(completion("x"))

    status, body = await world.create(fields)

    error = json.loads(body)["error"]
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert world.sent == []


@virtual
@pytest.mark.parametrize("fields", [{"logprobs": None}, {"best_of": 1}, {"n": None}, {"stop": None}])
async def test_what_says_nothing_is_taken(fields: dict[str, Any]) -> None:
    assert (await World(completion("x")).answer(prompt="a", **fields))["choices"][0]["text"] == "x"
