"""Half a JSON object is completed, wherever it was cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.streams.unfinished_json import ending_of_object

MEMBER = '"error": {"code": "stream_failed"}'

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=st.dictionaries(st.text(), values, max_size=4),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    data=st.data(),
)
def test_any_beginning_of_an_object_becomes_an_object_with_the_member(
    value: dict[str, Any], ascii_only: bool, indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    text = text.decode("utf-8", "replace").encode()
    cut = data.draw(st.integers(0, len(text) - 1))

    ending = ending_of_object(text[:cut], MEMBER)

    assert ending is not None
    completed = json.loads((text[:cut] + ending).decode("utf-8"))
    assert completed["error"] == {"code": "stream_failed"}


@pytest.mark.parametrize("text", [b'{"a": 1}', b'{"a": {}} ', b"[1", b"[DONE", b"<html", b"}", b'"a'])
def test_what_is_no_unfinished_object_is_left_alone(text: bytes) -> None:
    assert ending_of_object(text, MEMBER) is None
