"""The SSE parser against the specification, and against a second reading of it."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwen_worker.sse import Event, EventParser


def parse(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def reference(stream: bytes) -> list[Event]:
    """The specification's "interpreting an event stream", done on the whole stream at once."""
    text = stream.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    lines = re.split("\r\n|\r|\n", text)[:-1]  # what has no line end is not a line yet
    events: list[Event] = []
    data, name, comment = "", "", ""
    for line in lines:
        if line == "":
            if data != "":
                events.append(Event(data[:-1] if data.endswith("\n") else data, name, comment))
            data, name, comment = "", "", ""
            continue
        field, colon, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if field == "" and colon:
            comment = value
        elif field == "data":
            data += value + "\n"
        elif field == "event":
            name = value
    return events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event("a")]),
        (b"data:a\n\n", [Event("a")]),
        (b"data:  a\n\n", [Event(" a")]),
        (b"data: a\r\n\r\n", [Event("a")]),
        (b"data: a\r\r", [Event("a")]),
        (b"data: a\r\n\n", [Event("a")]),
        (b"data: a\ndata: b\n\n", [Event("a\nb")]),
        (b"data\n\n", [Event("")]),
        (b"data:\n\n", [Event("")]),
        (b": comment\n\n", []),
        (b"event: x\n\ndata: a\n\n", [Event("a")]),
        (b"id:1\nevent:error\n:HTTP_STATUS/429\ndata:{}\n\n", [Event("{}", "error", "HTTP_STATUS/429")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Event("b")]),
        (b"retry: 10\ndata: a\n\n", [Event("a")]),
        (b"data: a", []),
        (b"data: a\n", []),
        ("data: \u2028\u0085\x0b\x1c é\n\n".encode(), [Event("\u2028\u0085\x0b\x1c é")]),
        (b"data: \xff\xe4\xbd\n\n", [Event("\ufffd\ufffd")]),
    ],
)
def test_streams_of_the_specification(stream: bytes, events: list[Event]) -> None:
    assert parse(stream) == events
    assert reference(stream) == events


def test_an_event_is_returned_when_its_blank_line_begins() -> None:
    assert parse(b"data: a\r\n\r") == [Event("a")]
    assert parse(b"data: a\r\n\r", b"\ndata: b\r\n\r\n") == [Event("a"), Event("b")]


FRAMING = [b"data:", b"data", b" ", b":", b"\n", b"\r", b"\r\n", b"\n\n", b"event:", b"id:", b": ping"]
CONTENT = [b"x", b"\xef\xbb\xbf", b"\xc3\xa9", b"\xe4", b"\x00", b"[DONE]", b'{"a":1}']
tokens = st.sampled_from(FRAMING + CONTENT)


@given(
    stream=st.one_of(st.lists(tokens, max_size=40).map(b"".join), st.binary(max_size=60)),
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
@example(stream=b"\xef\xbb\xbfdata:x\r\n\r\n", cuts=[1, 2, 3, 9, 10, 11])
def test_any_bytes_in_any_pieces_mean_what_the_specification_says(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(places)]

    assert parse(*pieces) == reference(stream)
