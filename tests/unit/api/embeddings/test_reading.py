"""The answers of hosts, read without their numbers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.embeddings.answer import EmbeddingsDialect
from qwen_worker.api.embeddings.reading import read_ends, read_vectors
from qwen_worker.json_text import JsonTextError

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9), max_size=4)
ODD = st.lists(st.none() | st.booleans() | st.lists(st.integers()), min_size=1, max_size=3)
VECTORS = NUMBERS | ODD | st.text(max_size=5) | st.just('"embedding":[1]') | st.none()
ANSWER = b'{"object":"list","data":[{"embedding":[0.25,-1e-3],"index":0}],"usage":{"total_tokens":1}}'


@given(
    vectors=st.lists(VECTORS, max_size=4),
    others=st.dictionaries(st.text(max_size=3) | st.just("embedding"), NUMBERS | st.text(), max_size=2),
    indent=st.sampled_from([None, 1]),
)
def test_everything_is_read_and_vectors_are_kept_as_they_are_spelled(
    vectors: list[Any], others: dict[str, Any], indent: int | None
) -> None:
    data = [
        {"object": "embedding", "embedding": vector, "index": index} for index, vector in enumerate(vectors)
    ]
    answer = {**others, "data": data, "usage": {"total_tokens": 3}}

    assert filled(read_vectors(json.dumps(answer, indent=indent).encode())) == answer


def filled(value: Any) -> Any:
    """The value with the lists whose texts were kept."""
    if isinstance(value, bytes):
        return json.loads(b"[%b]" % value)
    if isinstance(value, list):
        return [filled(item) for item in value]
    return {name: filled(member) for name, member in value.items()} if isinstance(value, dict) else value


def test_the_numbers_are_not_read() -> None:
    assert read_vectors(ANSWER)["data"] == [{"embedding": b"0.25,-1e-3", "index": 0}]


@pytest.mark.parametrize("read", [read_vectors, read_ends])
@pytest.mark.parametrize("length", range(1, len(ANSWER)))
def test_a_short_answer_that_was_cut_off_is_none(read: Any, length: int) -> None:
    with pytest.raises(JsonTextError):
        read(ANSWER[:length])


# --- judged by its ends

USAGE = {"prompt_tokens": 7, "total_tokens": 7}
ITEMS = [
    {"object": "embedding", "index": index, "embedding": [place / 7 - index for place in range(200)]}
    for index in range(4)
]
BROKEN = b'"no json"'
"""What stands in the middle of an answer shows whether the middle was read."""

USAGE_LAST = {"object": "list", "data": ITEMS, "model": "m", "usage": USAGE}
USAGE_FIRST = {"usage": USAGE, "model": "m", "object": "list", "data": ITEMS}
ITEMS_BEGIN_WITH_THE_VECTOR = {**USAGE_LAST, "data": [dict(reversed([*item.items()])) for item in ITEMS]}
SHORT_VECTORS = {**USAGE_LAST, "data": [{**item, "embedding": [0.5, 1]} for item in ITEMS * 20]}
JUDGED = {
    "usage at the tail": json.dumps(USAGE_LAST),
    "usage at the head": json.dumps(USAGE_FIRST),
    "compact": json.dumps(USAGE_LAST, separators=(",", ":")),
    "pretty-printed": json.dumps(USAGE_LAST, indent=2),
    "tabs and CRLF": json.dumps(USAGE_LAST, indent="\t").replace("\n", "\r\n"),
    "spaces around it": f" \n{json.dumps(USAGE_LAST)}\n\n",
    "the vector first in its item": json.dumps(ITEMS_BEGIN_WITH_THE_VECTOR),
    "unknown members": json.dumps({"id": "ü", **USAGE_LAST, "output": {"text": "}]"}}),
}


def with_broken_middle(answer: str) -> bytes:
    """The answer with something in its middle that is no JSON."""
    data, middle = answer.encode(), len(answer) // 2
    return data[:middle] + BROKEN + data[middle:]


@pytest.mark.parametrize("name", JUDGED)
def test_a_long_answer_is_judged_by_its_ends(name: str) -> None:
    value = read_ends(with_broken_middle(JUDGED[name]))

    assert value["usage"] == USAGE
    completion = EmbeddingsDialect().completion_of(value)
    assert completion is not None
    assert completion.usage == USAGE
    members = json.loads(JUDGED[name])
    assert {**value, "data": None} == {**members, "data": None}


@pytest.mark.parametrize("name", JUDGED)
def test_an_answer_that_was_cut_off_anywhere_is_none(name: str) -> None:
    answer = JUDGED[name].rstrip().encode()

    for length in {*range(1, len(answer), 97), *range(len(answer) - 400, len(answer))}:
        with pytest.raises(JsonTextError):
            read_ends(answer[:length])


LONG = "x" * 3_000
VECTOR = [0.5] * 1_000
NOT_JUDGED = {
    "vectors of two numbers": json.dumps(SHORT_VECTORS),
    "an error before the vectors": json.dumps({"error": {"message": LONG}, **USAGE_LAST}),
    "a long member before the vectors": json.dumps({"id": LONG, **USAGE_LAST}),
    "a long member after the vectors": json.dumps({**USAGE_LAST, "id": LONG}),
    "vectors in base64": json.dumps({**USAGE_LAST, "data": [{"embedding": "AACAPwAAAD8" * 500}]}),
    "a null in the first vector": json.dumps({**USAGE_LAST, "data": [{"embedding": [None, *VECTOR]}]}),
    "a null in the last vector": json.dumps({**USAGE_LAST, "data": [{"embedding": [*VECTOR, None]}]}),
    "vectors at another place": json.dumps({"embedding": VECTOR, "data": [{"embedding": VECTOR}]}),
}


@pytest.mark.parametrize("name", NOT_JUDGED)
def test_what_cannot_be_judged_by_its_ends_is_read_whole(name: str) -> None:
    assert filled(read_ends(NOT_JUDGED[name].encode())) == json.loads(NOT_JUDGED[name])
    with pytest.raises(JsonTextError):
        read_ends(with_broken_middle(NOT_JUDGED[name]))


NO_LISTS = {
    "an error": {"error": {"code": "Throttling", "message": LONG}},
    "an error beside vectors, first": {"error": {"code": "x"}, **USAGE_LAST},
    "an error beside vectors, last": {**USAGE_LAST, "error": {"code": "x"}},
    "no data": {"data": None, "id": LONG},
    "empty data": {"data": [], "id": LONG},
    "one vector at the top": {"embedding": VECTOR, "usage": USAGE},
    "vectors in another list": {"output": {"embeddings": ITEMS}, "usage": USAGE},
    "an array": [USAGE_LAST],
    "an item without a vector": {"data": [{"index": 0}, *ITEMS], "usage": USAGE},
}


@pytest.mark.parametrize("name", NO_LISTS)
def test_what_is_no_list_of_embeddings_is_taken_for_none(name: str) -> None:
    answer = json.dumps(NO_LISTS[name]).encode()

    assert EmbeddingsDialect().completion_of(read_ends(answer)) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>" + b"x" * 5_000 + b"</html>",
        b"\x1f\x8b\x08" + bytes(range(256)) * 20,
        json.dumps(USAGE_LAST).encode("utf-16"),
        b'{"data":[{"embedding":[' + b"1," * 3_000,
        b'{"data":[{"embedding":[' * 1_000,
        b"1," * 3_000 + b'1],"index":0}],"usage":{}}',
    ],
    ids=["empty", "HTML", "gzip", "UTF-16", "no end", "deep", "no beginning"],
)
def test_what_is_no_json_is_refused(answer: bytes) -> None:
    with pytest.raises(JsonTextError):
        read_ends(answer)
