"""The answers of hosts, read without their vectors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.embeddings.answer import without_vectors
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
def test_everything_but_the_vectors_is_read(
    vectors: list[Any], others: dict[str, Any], indent: int | None
) -> None:
    data = [
        {"object": "embedding", "embedding": vector, "index": index} for index, vector in enumerate(vectors)
    ]
    answer = {**others, "data": data, "usage": {"total_tokens": 3}}

    assert without_vectors(json.dumps(answer, indent=indent).encode()) == emptied(answer)


def emptied(value: Any) -> Any:
    """The value with an empty array for each array of numbers under the key `embedding`."""
    if isinstance(value, list):
        return [emptied(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: [] if name == "embedding" and is_vector(member) else emptied(member)
        for name, member in value.items()
    }


def is_vector(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) in (int, float) for number in value)


@pytest.mark.parametrize("length", range(1, len(ANSWER)))
def test_an_answer_that_was_cut_off_is_none(length: int) -> None:
    with pytest.raises(JsonTextError):
        without_vectors(ANSWER[:length])
