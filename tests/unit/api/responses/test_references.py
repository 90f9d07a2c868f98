"""The Vercel AI SDK sends references to what it got, in place of the text: they are the text again."""

from typing import Any

import pytest

from qwen_worker.api.responses.answer import whole_response
from qwen_worker.api.responses.item_ids import Ids
from qwen_worker.api.responses.request import to_chat
from qwen_worker.errors import InvalidRequest
from tests.unit.api.responses.translating import END, MODEL, SEED, asked, call, text, thought, translate

QUESTION = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello", "reasoning_content": "Hm"}


def referring(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The next turn as the AI SDK sends it: text and reasoning as references only, calls whole."""
    return [item if "call_id" in item else {"type": "item_reference", "id": item["id"]} for item in output]


def messages(*items: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = to_chat({"input": [QUESTION, *items, QUESTION]}).chat["messages"]
    assert found[0] == found[-1] == QUESTION
    return found[1:-1]


def whole(**fields: Any) -> list[dict[str, Any]]:
    message = {"role": "assistant", "content": "Hello", "reasoning_content": "Hm"}
    completion = {"choices": [{"message": message, "finish_reason": "stop"}]}
    about = to_chat({"input": "Hi", **fields}).asked
    output: list[dict[str, Any]] = whole_response(completion, about, ids=Ids(SEED), model=MODEL, now_ms=0)[
        "output"
    ]
    return output


def test_references_to_a_whole_answer_are_its_text() -> None:
    assert messages(*referring(whole())) == [ANSWER]


def test_the_short_form_of_a_reference() -> None:
    assert messages(*({"id": item["id"]} for item in whole())) == [ANSWER]


def test_references_to_a_stream_are_its_text() -> None:
    chunks = (thought("Hm"), text("Hel"), text("lo"), call(0, "{}", call_id="c", name="look"), END)
    output = translate(*chunks, about=asked(store=None), refers_back=True).response["output"]
    result = {"type": "function_call_output", "call_id": "c", "output": "done"}
    said, tool = messages(*referring(output), result)

    assert said.pop("tool_calls")[0]["function"] == {"name": "look", "arguments": "{}"}
    assert said == ANSWER
    assert tool == {"role": "tool", "tool_call_id": "c", "content": "done"}


def test_what_carries_the_texts_of_a_stream_may_come_back_as_an_item() -> None:
    output = translate(text("Hello"), END, about=asked(store=None), refers_back=True).response["output"]

    assert messages(referring(output)[0], output[1]) == [{"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(("store", "refers_back"), [(False, True), (None, False), (True, False)])
def test_a_stream_says_nothing_more_to_who_will_not_refer_to_it(store: Any, refers_back: bool) -> None:
    stream = translate(text("Hello"), END, about=asked(store=store), refers_back=refers_back)

    assert len(stream.response["output"]) == 1


def test_without_storage_ids_are_short() -> None:
    assert all(len(item["id"]) < 60 for item in whole(store=False))


@pytest.mark.parametrize("item_id", ["msg_mock", Ids(SEED).plain("msg"), whole()[1]["id"][:-1], ""])
def test_an_id_that_means_nothing_here_is_an_error_that_names_the_setting(item_id: str) -> None:
    with pytest.raises(InvalidRequest, match="store: false") as caught:
        messages({"type": "item_reference", "id": item_id})

    assert caught.value.param == "input[1].id"
    assert caught.value.code == "item_not_found"


def test_many_small_ids_do_not_unpack_to_more_than_memory_holds() -> None:
    reference = {"type": "item_reference", "id": Ids(SEED).carrying("msg", "x" * 190_000)}

    with pytest.raises(InvalidRequest, match="too long together"):
        messages(*[reference] * 30)
    assert len(reference["id"]) < 1000
