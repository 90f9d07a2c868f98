"""Which model a name stands for."""

import pytest

from qwen_worker.api.messages.model_name import model_for

ALIASES = {"claude-haiku-4-5": "qwen3.6-flash", "mine[1m]": "a", "long": "qwen3.7-max"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "qwen3.7-plus"),
        ("", "qwen3.7-plus"),
        ("claude-sonnet-4-5", "qwen3.7-plus"),
        ("claude-opus-5-5[1m]", "qwen3.7-plus"),
        ("Claude-Opus-5-5", "qwen3.7-plus"),
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5[1m]", "claude-haiku-4-5"),
        ("mine[1m]", "mine[1m]"),
        ("qwen3-coder-plus", "qwen3-coder-plus"),
        ("qwen3-coder-plus[1m]", "qwen3-coder-plus"),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct", "Qwen/Qwen3-Coder-480B-A35B-Instruct"),
    ],
)
def test_model(name: str | None, expected: str) -> None:
    assert model_for(name, aliases=ALIASES, default="qwen3.7-plus") == expected
