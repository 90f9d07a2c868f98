"""What a client sees of a translated stream."""

import json
import time
from typing import Any

import pytest

from tests.unit.api.messages.streams import call, calls, chunk, encoded, translated, translator, usage_chunk

HELLO = (chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}))
END = (chunk(finish="stop"), usage_chunk())


def test_text_with_usage() -> None:
    message = translated(*HELLO, *END).message
    assert message is not None
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert message["model"] == "claude-test"
    assert message["stop_reason"] == "end_turn"
    assert message["usage"] == {
        "input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 0,
        "output_tokens": 7,
    }


def test_thinking_as_vllm_calls_it() -> None:
    read = translated(chunk({"reasoning": "Hm."}), *HELLO, *END)
    assert read.text("thinking") == "Hm."


def test_long_arguments_are_not_copied_with_each_chunk() -> None:
    stream = translator()
    stream.feed(encoded([calls(call(0, '{"text": "', call_id="c1", name="f"))], done=False))
    piece = encoded([calls(call(0, "0123456789" * 4))], done=False)
    started = time.perf_counter()
    for _ in range(400):
        stream.feed(piece * 50)
    assert time.perf_counter() - started < 5, "20,000 chunks take a quarter of a second on an idle machine"


def test_thinking_comes_before_text_in_a_block_of_its_own() -> None:
    thinking = [chunk({"reasoning_content": text}) for text in ("Hm", ".")]
    message = translated(*thinking, *HELLO, *END).message
    assert message is not None
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Hello"},
    ]


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("tool_calls", "end_turn"),
        ("eos", "end_turn"),
    ],
)
def test_stop_reason(finish: str, expected: str) -> None:
    message = translated(*HELLO, chunk(finish=finish)).message
    assert message is not None
    assert message["stop_reason"] == expected


@pytest.mark.parametrize(
    "parts",
    [
        [call(0, '{"a": 1}', call_id="c1", name="f")],
        [call(0, call_id="c1", name="f"), call(0, '{"a"'), call(0, ": 1}")],
        [call(0, call_id="c1"), call(0, name="f"), call(0, '{"a": 1}')],
        [call(0, '{"a"', call_id="c1", name="f"), call(0, ": 1}", call_id="c1", name="f")],
        [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}],
    ],
    ids=["whole", "in pieces", "name after the id", "id and name repeated", "arguments as an object"],
)
def test_a_call_however_it_is_told(parts: list[dict[str, Any]]) -> None:
    message = translated(*map(calls, parts), chunk(finish="tool_calls"))
    assert message.calls() == [("c1", "f", {"a": 1})]


@pytest.mark.parametrize("arguments", ["", "null", " ", "{}"])
def test_a_call_without_arguments_has_an_empty_object(arguments: str) -> None:
    message = translated(calls(call(0, arguments, call_id="c1", name="f")), chunk(finish="tool_calls"))
    assert message.raw_inputs == ["{}"]


def test_arguments_are_sent_while_they_grow() -> None:
    stream = translator()
    stream.feed(encoded([calls(call(0, call_id="c1", name="f"))], done=False))
    grown = stream.feed(encoded([calls(call(0, '{"path": "/tm'))], done=False))
    assert json.dumps('{"path": "/tm').encode() in grown


def test_pieces_of_one_feed_are_one_delta() -> None:
    stream = translator()
    out = stream.feed(encoded([*HELLO, chunk({"content": "!"})], done=False))
    assert out.count(b"content_block_delta\n") == 1


@pytest.mark.parametrize("numbered", [[0, 1], [0, 0]], ids=["numbered", "all number 0"])
def test_calls_one_after_the_other(numbered: list[int]) -> None:
    message = translated(
        calls(call(numbered[0], call_id="c1", name="f")),
        calls(call(numbered[0], '{"a": 1}')),
        calls(call(numbered[1], '{"b"', call_id="c2", name="g")),
        calls(call(numbered[1], ": 2}")),
        chunk(finish="tool_calls"),
    )
    assert message.calls() == [("c1", "f", {"a": 1}), ("c2", "g", {"b": 2})]


def test_the_second_call_is_sent_while_it_grows_too() -> None:
    stream = translator()
    stream.feed(encoded([calls(call(0, "{}", call_id="c1", name="f"))], done=False))
    assert b'"id":"c2"' in stream.feed(encoded([calls(call(1, '{"b', call_id="c2", name="g"))], done=False))


def test_calls_mixed() -> None:
    message = translated(
        calls(call(0, call_id="c1", name="f"), call(1, call_id="c2", name="g")),
        calls(call(1, '{"b": '), call(0, '{"a"')),
        calls(call(0, ": 1}"), call(1, "2}")),
        chunk(finish="tool_calls"),
    )
    assert message.calls() == [("c1", "f", {"a": 1}), ("c2", "g", {"b": 2})]


def test_a_call_without_an_id_gets_one() -> None:
    ((call_id, name, _),) = translated(calls(call(0, "{}", name="f")), chunk(finish="tool_calls")).calls()
    assert name == "f"
    assert call_id.startswith("toolu_")


def test_a_call_without_a_name_is_an_error() -> None:
    message = translated(calls(call(0, '{"a": 1}', call_id="c1")), chunk(finish="tool_calls"))
    assert message.error is not None


def test_arguments_cut_at_the_longest_output() -> None:
    read = translated(calls(call(0, '{"a": "b', call_id="c1", name="f")), chunk(finish="length"))
    assert read.message is not None
    assert read.message["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("separator", ["", "\n", "\n\n  "])
def test_white_space_alone_is_no_block(separator: str) -> None:
    message = translated(
        chunk({"content": separator}),
        calls(call(0, "{}", call_id="c1", name="f")),
        chunk({"content": separator}),
        calls(call(1, "{}", call_id="c2", name="f")),
        chunk(finish="tool_calls"),
    ).message
    assert message is not None
    assert [block["type"] for block in message["content"]] == ["tool_use", "tool_use"]


def test_white_space_before_text_is_kept() -> None:
    assert translated(chunk({"content": "\n\n"}), *HELLO, *END).text() == "\n\nHello"


def test_an_answer_that_says_nothing() -> None:
    message = translated(chunk({"content": ""}), *END).message
    assert message is not None
    assert message["content"] == []
