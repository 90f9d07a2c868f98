from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.usage.tokens_told import NOTHING_TOLD, TokensTold, tokens_told


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (None, NOTHING_TOLD),
        ({}, NOTHING_TOLD),
        ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}, TokensTold(10, 4)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            TokensTold(10, 4, 8, 3),
        ),
        ({"prompt_tokens": 10, "total_tokens": 10}, TokensTold(10, 0)),  # an embedding
        ({"completion_tokens": 4}, TokensTold(None, 4)),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": None}, TokensTold(10, 4)),
        (
            {
                "input_tokens": 10,
                "output_tokens": 4,
                "input_tokens_details": {"cached_tokens": 8},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            TokensTold(10, 4, 8, 3),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 4,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
            },
            TokensTold(130, 4, 100),
        ),
        ({"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": None}, TokensTold(10, 4)),
        ({"output_tokens": 4}, TokensTold(None, 4)),  # a message_delta
        ({"prompt_tokens": -1, "completion_tokens": "4"}, NOTHING_TOLD),
        ({"prompt_tokens": True, "completion_tokens": 1.5}, NOTHING_TOLD),
        ({"prompt_tokens": 10**30, "completion_tokens": 1}, TokensTold(None, 1)),
    ],
)
def test_usage_is_read_in_the_shape_of_each_api(usage: Any, told: TokensTold) -> None:
    assert tokens_told(usage) == told


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_names = st.sampled_from(
    (
        *("prompt_tokens", "completion_tokens", "prompt_tokens_details"),
        *("input_tokens", "output_tokens", "output_tokens_details"),
        *("cache_read_input_tokens", "cache_creation_input_tokens"),
    )
)


@given(st.dictionaries(_names, st.one_of(_json, st.fixed_dictionaries({"cached_tokens": _json}))))
def test_odd_values_never_raise_and_never_become_negative(usage: dict[str, Any]) -> None:
    told = tokens_told(usage)
    assert all(value is None or value >= 0 for value in told)
