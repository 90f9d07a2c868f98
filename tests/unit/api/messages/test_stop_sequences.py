"""Which stop sequence was met, and that nothing of it is shown."""

from typing import Any

import pytest

from tests.unit.api.messages.streams import call, calls, chunk, translated


@pytest.mark.parametrize(
    ("texts", "choice", "expected"),
    [
        (["one ", "two"], {"stop_reason": "END"}, ("one two", "END")),
        (["one ", "two"], {"matched_stop": "END"}, ("one two", "END")),
        (["one E", "ND"], {}, ("one ", "END")),
        (["one END two"], {}, ("one ", "END")),
        (["one E", "N"], {}, ("one EN", None)),
        (["one"], {"stop_reason": 151645}, ("one", None)),
    ],
    ids=["vLLM", "SGLang", "within the text", "overlooked", "begun only", "a token's number"],
)
def test_stop_sequence(texts: list[str], choice: dict[str, Any], expected: tuple[str, str | None]) -> None:
    chunks = [chunk({"content": text}) for text in texts]
    read = translated(*chunks, chunk(finish="stop", **choice), stop_sequences=("STOP", "END"))
    assert read.message is not None
    assert (read.text(), read.message["stop_sequence"]) == expected
    assert read.message["stop_reason"] == ("end_turn" if expected[1] is None else "stop_sequence")


def test_nothing_after_a_stop_sequence_belongs_to_the_answer() -> None:
    message = translated(
        chunk({"content": "one END"}),
        chunk({"reasoning_content": "hm"}),
        calls(call(0, "{}", call_id="c1", name="f")),
        chunk(finish="stop"),
        stop_sequences=("END",),
    ).message
    assert message is not None
    assert message["content"] == [{"type": "text", "text": "one "}]


def test_what_is_held_back_comes_before_a_call() -> None:
    message = translated(
        chunk({"content": "one E"}),
        calls(call(0, "{}", call_id="c1", name="f")),
        chunk(finish="tool_calls"),
        stop_sequences=("END",),
    ).message
    assert message is not None
    assert [block["type"] for block in message["content"]] == ["text", "tool_use"]
    assert message["content"][0]["text"] == "one E"
