"""How Anthropic's words for thinking become those of a host."""

from typing import Any

import pytest

from qwen_worker.api.messages.thinking import (
    ModelFacts,
    Thinks,
    chat_thinking,
    clamped_max_tokens,
    native_thinking,
    thinking_facts,
)
from qwen_worker.models import facts_of

ADAPTIVE = {"type": "adaptive", "display": "omitted"}
DISABLED = {"type": "disabled"}


def enabled(budget: int | None = None) -> dict[str, Any]:
    return {"type": "enabled"} if budget is None else {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    ("thinks", "thinking", "effort", "expected"),
    [
        ("hybrid", None, None, None),
        ("hybrid", None, "high", None),
        ("hybrid", DISABLED, None, DISABLED),
        ("hybrid", enabled(5000), None, enabled(5000)),
        ("hybrid", enabled(31_999), None, enabled(31_999)),
        ("hybrid", enabled(32_000), None, enabled(31_999)),
        ("hybrid", enabled(0), None, DISABLED),
        ("hybrid", enabled(), None, enabled(24_000)),
        ("hybrid", ADAPTIVE, None, enabled(24_000)),
        ("hybrid", ADAPTIVE, "high", enabled(24_000)),
        ("hybrid", ADAPTIVE, "medium", enabled(8192)),
        ("hybrid", ADAPTIVE, "low", enabled(1024)),
        ("never", ADAPTIVE, "high", None),
        ("never", enabled(5000), None, None),
        ("never", DISABLED, None, None),
        ("always", DISABLED, None, None),
        ("always", ADAPTIVE, None, enabled(24_000)),
        (None, ADAPTIVE, "high", None),
        (None, enabled(40_000), None, enabled(31_999)),
        (None, DISABLED, None, DISABLED),
    ],
)
def test_native(thinks: Thinks | None, thinking: Any, effort: str | None, expected: Any) -> None:
    facts = ModelFacts(thinks)
    result = native_thinking(thinking, facts, max_tokens=32_000, effort=effort, is_tool_forced=False)
    assert result == expected


@pytest.mark.parametrize(
    ("thinks", "thinking", "effort", "expected"),
    [
        ("hybrid", None, None, {}),
        ("hybrid", None, "high", {}),
        ("hybrid", DISABLED, "high", {"enable_thinking": False}),
        ("hybrid", enabled(5000), "high", {"enable_thinking": True, "thinking_budget": 5000}),
        ("hybrid", enabled(0), None, {"enable_thinking": False}),
        ("hybrid", ADAPTIVE, None, {"enable_thinking": True}),
        ("hybrid", ADAPTIVE, "low", {"reasoning_effort": "low"}),
        ("hybrid", ADAPTIVE, "max", {"reasoning_effort": "xhigh"}),
        ("never", ADAPTIVE, "high", {}),
        ("never", enabled(5000), None, {}),
        ("always", DISABLED, None, {}),
        ("always", enabled(5000), None, {"thinking_budget": 5000}),
        ("always", None, "high", {"reasoning_effort": "high"}),
        (None, ADAPTIVE, None, {}),
        (None, ADAPTIVE, "high", {"reasoning_effort": "high"}),
        (None, enabled(40_000), None, {"enable_thinking": True, "thinking_budget": 31_999}),
    ],
)
def test_chat(thinks: Thinks | None, thinking: Any, effort: str | None, expected: Any) -> None:
    result = chat_thinking(
        thinking,
        ModelFacts(thinks),
        max_tokens=32_000,
        effort=effort,
        is_tool_forced=False,
        knows_qwen_fields=True,
    )
    assert result == expected


@pytest.mark.parametrize(
    ("thinking", "effort", "expected"),
    [(enabled(5000), None, {}), (ADAPTIVE, "high", {"reasoning_effort": "high"}), (DISABLED, "high", {})],
)
def test_chat_without_qwen_fields(thinking: Any, effort: str | None, expected: Any) -> None:
    result = chat_thinking(
        thinking,
        ModelFacts("hybrid"),
        max_tokens=32_000,
        effort=effort,
        is_tool_forced=False,
        knows_qwen_fields=False,
    )
    assert result == expected


def test_a_forced_tool_without_a_word_about_thinking_is_not_thought_about() -> None:
    facts = ModelFacts("hybrid")
    assert native_thinking(None, facts, max_tokens=9000, effort=None, is_tool_forced=True) == DISABLED
    chat = chat_thinking(
        None, facts, max_tokens=9000, effort=None, is_tool_forced=True, knows_qwen_fields=True
    )
    assert chat == {"enable_thinking": False}


@pytest.mark.parametrize("max_tokens", [1, 100, 1024])
def test_no_room_to_think(max_tokens: int) -> None:
    result = native_thinking(
        ADAPTIVE, ModelFacts("hybrid"), max_tokens=max_tokens, effort="high", is_tool_forced=False
    )
    assert result == DISABLED


@pytest.mark.parametrize("max_tokens", [1025, 2000, 8000, 128_000])
@pytest.mark.parametrize("thinking", [ADAPTIVE, enabled(500_000), enabled(1)])
def test_a_budget_is_below_max_tokens_and_the_longest_one(max_tokens: int, thinking: Any) -> None:
    facts = ModelFacts("hybrid", longest_budget=32_768)
    result = native_thinking(thinking, facts, max_tokens=max_tokens, effort="max", is_tool_forced=False)
    assert result is not None
    assert 0 < result["budget_tokens"] < max_tokens
    assert result["budget_tokens"] <= 32_768


@pytest.mark.parametrize(
    ("model", "most"), [("qwen3.6-35b-a3b", 81_920), ("qwen3.5-27b", 81_920), ("qwen3.9-27b", 127_999)]
)
def test_a_family_of_models_has_its_own_longest_budget(model: str, most: int) -> None:
    facts = thinking_facts(facts_of(model))
    result = native_thinking(enabled(500_000), facts, max_tokens=128_000, effort=None, is_tool_forced=False)
    assert result == enabled(most)


def test_max_tokens_are_clamped_only_where_the_longest_output_is_known() -> None:
    assert clamped_max_tokens(128_000, ModelFacts(longest_output=65_536)) == 65_536
    assert clamped_max_tokens(1000, ModelFacts(longest_output=65_536)) == 1000
    assert clamped_max_tokens(128_000, ModelFacts()) == 128_000
