"""Several prompts in one request: answered together, or streamed one after the other."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.chunks import DONE, FINISH, USAGE, USAGE_CHUNK, event, events, text
from tests.support.clock import virtual
from tests.support.ports import ScriptedResponse
from tests.support.streams import StreamResponse
from tests.unit.api.completions.world import BEIJING, KEY, NATIVE, REFUSAL, TURBO, World, completion, joined


def by_prompt(sent: dict[str, Any]) -> ScriptedResponse:
    prompt = sent["messages"][-1]["content"]
    return completion(f"{prompt}!", f"{prompt}?") if sent.get("n") == 2 else completion(f"{prompt}!")


@virtual
async def test_several_prompts_are_answered_in_their_order() -> None:
    world = World(by_prompt)

    answer = await world.answer(prompt=["a", "b", "c"], n=2)

    assert [(c["index"], c["text"]) for c in answer["choices"]] == [
        (0, "a!"),
        (1, "a?"),
        (2, "b!"),
        (3, "b?"),
        (4, "c!"),
        (5, "c?"),
    ]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
    assert len(world.logs.events("completion ended")) == 1


def streams(**scripts: list[Any]) -> Any:
    """Answers the prompt of each name with a stream."""
    answers = {prompt: StreamResponse(*script) for prompt, script in scripts.items()}

    def answer(sent: dict[str, Any]) -> StreamResponse:
        assert sent["stream"] is True
        return answers[sent["prompt"] if "prompt" in sent else sent["messages"][-1]["content"]]

    return answer, answers


def said(*contents: bytes | float) -> list[Any]:
    return [*contents, FINISH + USAGE_CHUNK + DONE]


@virtual
async def test_several_prompts_stream_one_after_the_other() -> None:
    answer, _ = streams(a=said(text("one"), 1.0, text(" more")), b=said(text("two")), c=said(text("three")))
    world = World(answer)

    found = await world.stream(prompt=["a", "b", "c"], echo=True, stream_options={"include_usage": True})

    *chunks, usage, done = found
    assert done == "[DONE]"
    assert found.count("[DONE]") == 1
    assert [joined(chunks, index) for index in range(3)] == ["aone more", "btwo", "cthree"]
    indexes = [choice["index"] for data in chunks for choice in data["choices"]]
    assert indexes == sorted(indexes)
    reasons = [c["finish_reason"] for data in chunks for c in data["choices"] if c["finish_reason"]]
    assert reasons == ["stop"] * 3
    assert not any("usage" in data for data in chunks)
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 3 * USAGE["total_tokens"]
    [ended] = world.logs.events("stream ended")
    assert (ended["outcome"], ended["usage"]["total_tokens"]) == ("completed", 3 * USAGE["total_tokens"])


@virtual
async def test_each_prompt_has_several_choices() -> None:
    def part(index: int, content: str, finish: str | None = None) -> bytes:
        return event({"choices": [{"index": index, "delta": {"content": content}, "finish_reason": finish}]})

    def both(word: str) -> list[Any]:
        return [part(0, f"{word}!", "stop"), part(1, f"{word}?", "length") + DONE]

    answer, _ = streams(a=both("a"), b=both("b"))
    found = await World(answer).stream(prompt=["a", "b"], n=2)

    assert [joined(found, index) for index in range(4)] == ["a!", "a?", "b!", "b?"]


@virtual
async def test_the_first_text_waits_for_no_other_prompt_and_few_calls_are_made_ahead() -> None:
    names = "abcdef"
    answer, _ = streams(**{name: said(text(name), 100.0, text("!")) for name in names})
    world = World(answer)
    pipe = await world.begin(prompt=[*names], stream=True)

    assert b'"text":"a"' in await pipe.first_bytes()
    await asyncio.sleep(1)
    assert len(world.sent) == 3

    found = events(await pipe.content())
    assert [joined(found, index) for index in range(6)] == [f"{name}!" for name in names]
    assert len(world.sent) == 6


@virtual
async def test_the_client_is_kept_waiting_between_answers() -> None:
    answer, _ = streams(a=said(text("one")), b=[40.0, *said(text("two"))])
    world = World(answer, {**KEY, "STREAM_KEEP_ALIVE_SECONDS": "15"})

    _, body = await world.create({"prompt": ["a", "b"], "stream": True})

    first, comment, rest = body.partition(b": keep-alive\n\n")
    assert comment
    assert b'"text":"one"' in first
    assert b'"text":"two"' in rest


@virtual
@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (
            ScriptedResponse(400, REFUSAL),
            "content_filter",
        ),
        (StreamResponse(text("tw")), "stream_truncated"),
        (StreamResponse(text("tw"), 1000.0), "upstream_timeout"),
        (StreamResponse(1000.0), "upstream_timeout"),
    ],
)
async def test_an_answer_that_fails_ends_the_stream_of_all(broken: Any, code: str) -> None:
    answer, answers = streams(a=said(text("one")), c=said(text("three"), 1000.0), d=said(text("four")))
    answers["b"] = broken
    world = World(answer)

    *chunks, error, done = await world.stream(prompt=["a", "b", "c", "d"])

    assert (error["error"]["code"], done) == (code, "[DONE]")
    assert joined(chunks) == "one"
    assert not joined(chunks, 2)
    assert answers["c"].body.is_cancelled
    assert world.logs.events("stream ended")[0]["outcome"] == code


@virtual
async def test_a_first_answer_that_fails_has_its_own_status() -> None:
    answer, answers = streams(b=said(text("two")))
    answers["a"] = ScriptedResponse(400, REFUSAL)
    world = World(answer)

    status, body = await world.create({"prompt": ["a", "b"], "stream": True})

    assert (status, json.loads(body)["error"]["code"]) == (400, "content_filter")
    assert len(world.sent) == 1


@virtual
async def test_several_prompts_at_beijing() -> None:
    world = World(ScriptedResponse(200, NATIVE), BEIJING)

    answer = await world.answer(model=TURBO, prompt=["x", "y"])

    assert [c["index"] for c in answer["choices"]] == [0, 1]
    assert [sent["prompt"] for sent in world.sent] == ["x", "y"]


@virtual
async def test_several_prompts_stream_from_beijing() -> None:
    def parts(*texts: str) -> list[Any]:
        choices = [{"text": said, "index": 0, "logprobs": None, "finish_reason": None} for said in texts]
        choices[-1]["finish_reason"] = "stop"
        return [*(event({**NATIVE, "usage": None, "choices": [choice]}) for choice in choices), DONE]

    answer, _ = streams(x=parts("on", "e"), y=parts("STOP ", "two"))
    world = World(answer, BEIJING)

    found = await world.stream(model=TURBO, prompt=["x", "y"], stop="STOP")

    assert [joined(found, index) for index in (0, 1)] == ["one", "STOP two"]
    assert [sent["prompt"] for sent in world.sent] == ["x", "y"]
    assert found.count("[DONE]") == 1
