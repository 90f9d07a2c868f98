"""Chunks that are recognized without being parsed mean what they would mean if they were."""

import json
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.delta_pattern import MOST_VAIN_ATTEMPTS, DeltaPattern
from qwen_worker.sse import Event, EventParser


def chunk(text: Any, field: str = "content", **fields: Any) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": 0, "delta": {field: text}, "finish_reason": None}], **fields}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def learnt(data: str) -> DeltaPattern:
    pattern = DeltaPattern()
    pattern.learn(data, json.loads(data))
    return pattern


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
@pytest.mark.parametrize("spell", [json.dumps, compact])
@pytest.mark.parametrize("text", ["", "Hi", 'a "quoted"\n\\word\\', '"content":"', "\u2028é🙂", "\ud83d"])
def test_the_text_of_a_chunk_like_the_first_is_told(spell: Any, field: str, text: str) -> None:
    pattern = learnt(spell(chunk("first", field)))

    assert pattern.text_of(spell(chunk(text, field))) == text
    assert pattern.field == field


@pytest.mark.parametrize(
    "data",
    [
        compact(chunk("a", usage={"total_tokens": 1})),
        compact(chunk("a", id="2")),
        compact(chunk("a", "reasoning_content")),
        compact(chunk(None)),
        compact(chunk(["a"])),
        compact(
            {**chunk("a"), "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
        ),
        compact(chunk("a"))[:-1],
        compact(chunk("a")) + " ",
        compact(chunk("a")).replace('"a"', '"a" "b"'),
        compact(chunk("a")).replace('"a"', '"a\n"'),
        compact(chunk("a")).replace('"a"', '"\\x"'),
        compact(chunk("a")).replace('"a"', '"a\\"'),
        compact(chunk("a")).replace('"a"', '"a","tool_calls":"b"'),
        "[DONE]",
        "",
    ],
)
def test_another_chunk_is_not_recognized(data: str) -> None:
    assert learnt(compact(chunk("first"))).text_of(data) is None


@pytest.mark.parametrize(
    "first",
    [
        chunk("a", usage={"total_tokens": 1}),
        chunk("a", error={"message": "no"}),
        chunk(""),
        chunk(["a"]),
        chunk("a", choices=[]),
        chunk("a", choices=1),
        chunk("a", choices=[{"index": 1, "delta": {"content": "a"}}]),
        chunk("a", choices=[{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]),
        chunk("a", choices=[{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [1]}}]),
        chunk("a", choices=[{"index": 0, "delta": {"content": "a", "reasoning_content": "b"}}]),
        chunk("a", choices=[{"index": 0, "delta": {"content": "a", "tool_calls": [{}]}}]),
        chunk("a", choices=[{"index": 0, "delta": {"content": "a"}}] * 2),
        {},
    ],
)
def test_a_chunk_that_says_more_than_a_text_is_no_pattern(first: dict[str, Any]) -> None:
    assert learnt(compact(first)).text_of(compact(first)) is None


def test_a_text_elsewhere_in_the_chunk_is_not_taken_for_the_deltas() -> None:
    """The delta's own field is spelled with an escape, or stands behind another of that name."""
    for data in (
        '{"meta":{"content":"x"},"choices":[{"delta":{"\\u0063ontent":"a"}}]}',
        '{"meta":{"content":"x"},"choices":[{"delta":{"content":"a"}}]}',
        '{"choices":[{"delta":{"content":"x","content":"a"}}]}',
    ):
        assert learnt(data).text_of(data.replace('"x"', '"y"')) is None


def test_what_is_never_recognized_again_is_no_longer_learnt() -> None:
    pattern = DeltaPattern()
    for number in range(MOST_VAIN_ATTEMPTS + 2):
        data = compact(chunk("a", id=number))
        pattern.learn(data, json.loads(data))

    assert pattern.text_of(data) is None


def after_an_event() -> EventParser:
    parser = EventParser()
    parser.feed(b"data: {}\n\n")
    return parser


def sse(*chunks: dict[str, Any]) -> bytes:
    return "".join(f"data: {compact(chunk)}\n\n" for chunk in chunks).encode()


@pytest.mark.parametrize(
    "rest", [b"", b"da", sse(chunk("next"))[:-3], sse(chunk("b", id="2")), b"data: [DONE]\n\n"]
)
@pytest.mark.parametrize(
    "texts", [["a"], ["a", "", "b\n\n"], ['"', "\\n", "\u2028é🙂"], ["\ud83d", "\ude42"]]
)
def test_the_text_of_events_like_the_first_is_told(texts: list[str], rest: bytes) -> None:
    pattern = learnt(json.dumps(chunk("first")))
    data = "".join(f"data: {json.dumps(chunk(text))}\n\n" for text in texts).encode()
    parser = after_an_event()
    parser.feed(data[:10])

    text, left = pattern.text_of_events(parser, data[10:] + rest)

    assert json.dumps(text) == json.dumps("".join(texts))
    assert left == rest
    assert parser.take_back() == b""


@pytest.mark.parametrize(
    "data",
    [
        "",
        f"data: {compact(chunk('a'))}\n",
        f": waiting\n\ndata: {compact(chunk('a'))}\n\n",
        sse(chunk("a"), chunk("b", id="2"), chunk("c")).decode(),
        f"data: {compact(chunk('a'))}\n\n: waiting\n\n{sse(chunk('b'), chunk('c')).decode()}",
        f"event: error\ndata: {compact(chunk('a'))}\n\n",
        f"data: {compact(chunk(None))}\n\ndata: {compact(chunk('a'))}\n\n",
        f"data: {compact(chunk('a'))}\n\n".replace('"a"', '"a\\"') + f"data: {compact(chunk('b'))}\n\n",
        f"data: {compact(chunk('a'))}\n\n".replace('"a"', '"\\x"'),
        f"data: {compact(chunk('a'))}\n\n".replace('"a"', '"'),
    ],
)
def test_events_of_another_kind_are_left_to_the_parser(data: str) -> None:
    pattern = learnt(compact(chunk("first")))

    text, left = pattern.text_of_events(after_an_event(), data.encode())

    assert left.decode() == data.removeprefix(sse(chunk("a")).decode() if text else "")
    assert text in ("", "a")


@pytest.mark.parametrize("begun", [b"event: error\n", b": waiting\n", b"data: {}\n"])
def test_within_an_event_nothing_is_recognized(begun: bytes) -> None:
    parser = after_an_event()
    parser.feed(begun)
    data = sse(chunk("a"))

    assert learnt(compact(chunk("first"))).text_of_events(parser, data) == ("", data)


@given(
    st.lists(
        st.one_of(
            st.text('"\\ab\n', max_size=4).map(lambda text: sse(chunk(text))),
            st.text('"\\ab', max_size=4).map(lambda text: sse(chunk("*")).replace(b"*", text.encode())),
            st.sampled_from(
                [
                    sse(chunk("c", id="2")),
                    sse(chunk(None)),
                    b": waiting\n\n",
                    b"\n",
                    sse(chunk("d")).replace(b"\n", b"\r\n"),
                    b"event: x\n" + sse(chunk("e")),
                    b"data: [DONE]\n\n",
                ]
            ),
        ),
        max_size=8,
    ),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_a_stream_cut_anywhere_says_what_the_parser_finds_in_it(events: list[bytes], cuts: list[int]) -> None:
    stream = b"".join([sse(chunk("first")), *events])
    pattern, parser = learnt(compact(chunk("first"))), EventParser()
    said: list[str] = []
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    for start, end in pairwise(places):
        text, left = pattern.text_of_events(parser, stream[start:end])
        said += [text] if text else []
        said += [meaning(event, pattern) for event in parser.feed(left)]

    expected = [meaning(event, pattern) for event in EventParser().feed(stream)]

    assert "".join(said) == "".join(expected)


def meaning(found: Event, pattern: DeltaPattern) -> str:
    """The text of a usual event; all of another one."""
    text = None if found.name or found.comment else pattern.text_of(found.data)
    return repr(found) if text is None else text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text('"\\ac:,', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "delta", "choices", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.text(), st.dictionaries(st.sampled_from(["a", "content", "usage", "delta"]), json_values), st.data()
)
def test_what_is_recognized_is_what_would_be_parsed(
    text: str, fields: dict[str, Any], data: st.DataObject
) -> None:
    first = {**fields, **chunk("first")} if data.draw(st.booleans()) else chunk("first", **fields)
    spelled = compact(first)
    pattern = learnt(spelled)
    place = data.draw(st.integers(0, len(spelled)))
    mutated = data.draw(
        st.sampled_from(
            [
                compact({**first, **chunk(text)}),
                spelled.replace("first", text),
                spelled[:place] + text + spelled[place:],
                spelled[:place] + spelled[place + 1 :],
            ]
        )
    )

    told = pattern.text_of(mutated)

    if told is not None:
        expected = deepcopy(first)
        expected["choices"][0]["delta"]["content"] = told
        assert json.loads(mutated) == expected
