"""Tool calls in a stream: told apart whatever the host sends, and under the names that the client gave."""

import pytest

from tests.support.chunks import DONE
from tests.support.responses_grammar import split_events
from tests.unit.api.responses.translating import (
    END,
    arguments_of,
    asked,
    call,
    delta,
    finish,
    text,
    translate,
    translator,
)


def test_a_call_is_streamed() -> None:
    stream = translate(
        call(0, "", call_id="call_a", name="look"),
        call(0, '{"at":', call_id=""),
        call(0, ' "x"}', call_id=""),
        finish("tool_calls") + DONE,
    )

    [item] = stream.items("function_call")
    assert (item["name"], item["call_id"], item["arguments"]) == ("look", "call_a", '{"at": "x"}')
    assert stream.types.count("response.function_call_arguments.delta") == 2


def test_parallel_calls_come_one_after_the_other() -> None:
    stream = translate(
        call(0, '{"n":', call_id="call_a", name="one"),
        call(1, '{"n":', call_id="call_b", name="two"),
        call(0, "1}"),
        call(1, "2}"),
        finish("tool_calls") + DONE,
    )

    assert [arguments_of(item) for item in stream.items("function_call")] == [{"n": 1}, {"n": 2}]


def test_a_call_whose_arguments_are_whole_is_done_when_the_next_one_begins() -> None:
    stream = translator()

    out = stream.feed(
        call(0, '{"n":1}', call_id="call_a", name="one") + call(1, '{"n"', call_id="call_b", name="two")
    )

    done = [each for each in split_events(out) if each["type"] == "response.output_item.done"]
    assert [each["item"]["call_id"] for each in done] == ["call_a"]


def test_text_before_between_and_after_calls_keeps_its_order() -> None:
    stream = translate(
        text("a"),
        call(0, "{}", call_id="x", name="f"),
        text("b"),
        call(1, "{}", call_id="y", name="f"),
        text("c"),
        END,
    )

    assert [item["type"] for item in stream.response["output"]] == [
        "message",
        "function_call",
        "message",
        "function_call",
        "message",
    ]
    assert stream.text == "abc"


@pytest.mark.parametrize(
    ("chunks", "ids"),
    [
        ([call(None, "{}", call_id="a", name="f"), call(None, "{}", call_id="b", name="f")], ["a", "b"]),
        ([call(0, "{}", call_id="a", name="f"), call(0, "{}", call_id="b", name="f")], ["a", "b"]),
        ([call(None, '{"x"', call_id="a", name="f"), call(None, ":1}")], ["a"]),
        (
            [
                call(None, '{"x"', call_id="a", name="f"),
                call(None, "{}", call_id="b", name="f"),
                call(None, ":1}", call_id="a"),
            ],
            ["a", "b"],
        ),
        ([call(0, '{"x"', call_id="a", name="f"), call(0, ":1}", call_id="a", name="f")], ["a"]),
        ([call(0, '{"x"', call_id="a", name="f"), call(0, ":1}", call_id="other")], ["a"]),
    ],
)
def test_calls_are_told_apart_by_what_hosts_send(chunks: list[bytes], ids: list[str]) -> None:
    stream = translate(*chunks, END)

    calls = stream.items("function_call")
    assert [item["call_id"] for item in calls] == ids
    assert all(isinstance(arguments_of(item), dict) for item in calls)


def test_a_call_without_an_id_or_with_another_ones_gets_its_own() -> None:
    stream = translate(
        call(0, "{}", name="f"),
        call(1, "{}", call_id="a", name="f"),
        call(2, "{}", call_id="a", name="f"),
        END,
    )

    assert len({item["call_id"] for item in stream.items("function_call")}) == 3


def test_a_name_that_comes_late_is_waited_for() -> None:
    stream = translate(call(0, '{"a":', call_id="x"), call(0, "1}", name="f"), END)

    [item] = stream.items("function_call")
    assert (item["name"], item["arguments"]) == ("f", '{"a":1}')


def test_the_legacy_function_call_is_a_call() -> None:
    stream = translate(
        delta(function_call={"name": "f", "arguments": '{"a":'}),
        delta(function_call={"arguments": "1}"}),
        finish("function_call") + DONE,
    )

    [item] = stream.items("function_call")
    assert arguments_of(item) == {"a": 1}


PATCH = {"type": "custom", "name": "apply_patch"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"input": "*** Begin\\n\\"x\\""}', '*** Begin\n"x"'),
        ('{"patch": "*** Begin"}', "*** Begin"),
        ("*** Begin", "*** Begin"),
        ("", ""),
        ('{"input": 1}', '{"input": 1}'),
        ('{"input": "a", "b": 1}', "a"),
    ],
)
def test_a_custom_tool_gets_its_raw_input(arguments: str, said: str) -> None:
    stream = translate(
        *(
            call(0, arguments[place : place + 3], call_id="c", name="apply_patch")
            for place in range(0, 99, 3)
        ),
        finish("tool_calls") + DONE,
        about=asked(tools=[PATCH]),
    )

    [item] = stream.items("custom_tool_call")
    assert (item["name"], item["input"]) == ("apply_patch", said)
    assert "response.function_call_arguments.delta" not in stream.types
