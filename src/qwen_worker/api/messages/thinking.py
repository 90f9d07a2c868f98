"""How much a model shall think: Anthropic's `thinking` and `output_config.effort`, by what a model can.

Facts (apis-on-the-wire 1.2, section 5 number 16): "adaptive" has been a 400 at Qwen's hosts and still is at
some that serve its models; a budget of 0 is a 400; a budget must be below `max_tokens`, and each family has a
longest one.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from qwen_worker import models

Thinks = Literal["never", "hybrid", "always"]

SMALLEST_BUDGET = 1024
"""Anthropic's smallest `budget_tokens`."""

_BUDGETS = {"low": 1024, "medium": 8192}
"""Budgets by effort, as the official Qwen Code CLI has them; every other effort: as much as there is room
for.
"""

_CHAT_EFFORTS = {"max": "xhigh"}
"""Efforts that chat completions name otherwise."""


class ModelFacts(NamedTuple):
    """What is known of a model; None is unknown. Lengths are in tokens."""

    thinks: Thinks | None = None
    longest_output: int | None = None
    longest_budget: int | None = None


def thinking_facts(known: models.ModelFacts) -> ModelFacts:
    """What the table of models tells, in Anthropic's terms."""
    thinks: Thinks | None = "hybrid"
    if known.thinking == "never" or known.thinking == "always":
        thinks = known.thinking
    elif known.thinking is None:
        thinks = None
    return ModelFacts(thinks, known.output_tokens, known.thinking_tokens)


def clamped_max_tokens(max_tokens: int, facts: ModelFacts) -> int:
    """`max_tokens`, at most what the model writes.

    More is a 400 "Range of max_tokens should be [1, 65536]"; Claude Code asks for 128,000 by default.
    """
    return max_tokens if facts.longest_output is None else min(max_tokens, facts.longest_output)


def native_thinking(
    thinking: Mapping[str, Any] | None,
    facts: ModelFacts,
    *,
    max_tokens: int,
    effort: str | None,
    is_tool_forced: bool,
) -> dict[str, Any] | None:
    """`thinking` for a host that speaks Messages: enabled with a budget, disabled, or None for left out.

    A model that is not known gets no "adaptive". A forced tool without a `thinking` field means no thinking:
    so it is with Anthropic's models, and some of Qwen's refuse a forced tool while they think.
    """
    if facts.thinks == "never":
        return None
    if thinking is None:
        return {"type": "disabled"} if is_tool_forced and facts.thinks == "hybrid" else None
    kind = thinking["type"]
    if kind == "adaptive" and facts.thinks is None:
        return None
    budget = None if kind == "disabled" else _budget(thinking, facts, max_tokens=max_tokens, effort=effort)
    if budget is not None:
        return {"type": "enabled", "budget_tokens": budget}
    return None if facts.thinks == "always" else {"type": "disabled"}


def chat_thinking(
    thinking: Mapping[str, Any] | None,
    facts: ModelFacts,
    *,
    max_tokens: int,
    effort: str | None,
    is_tool_forced: bool,
    knows_qwen_fields: bool,
) -> dict[str, Any]:
    """The fields of a chat completions request that say the same.

    Budget and effort are never sent together: Qwen refuses that. An effort says how much to think, never
    whether: without thinking it is left out. A host that does not know Qwen's fields gets an effort only.
    """
    if facts.thinks == "never":
        return {}
    wanted = effort is not None and (facts.thinks == "always" or _is_on(thinking))
    efforts = {"reasoning_effort": _CHAT_EFFORTS.get(effort or "", effort)} if wanted else {}
    if not knows_qwen_fields:
        return efforts
    enabling = {} if facts.thinks == "always" else {"enable_thinking": True}
    disabling = {} if facts.thinks == "always" else {"enable_thinking": False}
    if thinking is None:
        return disabling if is_tool_forced and facts.thinks == "hybrid" else efforts
    if thinking["type"] == "adaptive":
        return efforts or ({} if facts.thinks is None else enabling)
    if thinking["type"] == "disabled":
        return disabling
    budget = _budget(thinking, facts, max_tokens=max_tokens, effort=effort)
    return disabling if budget is None else {**enabling, "thinking_budget": budget}


def _is_on(thinking: Mapping[str, Any] | None) -> bool:
    return thinking is not None and thinking["type"] != "disabled"


def _budget(
    thinking: Mapping[str, Any], facts: ModelFacts, *, max_tokens: int, effort: str | None
) -> int | None:
    """A budget in tokens below `max_tokens`; None if there is no room to think, or a budget of 0 was asked
    for.

    Where the client names none, a quarter of `max_tokens` is left for the answer.
    """
    budget = thinking.get("budget_tokens") if thinking["type"] == "enabled" else None
    if budget is None:
        budget = min(_BUDGETS.get(effort or "", max_tokens), max(SMALLEST_BUDGET, max_tokens * 3 // 4))
    budget = min(budget, max_tokens - 1)
    if facts.longest_budget is not None:
        budget = min(budget, facts.longest_budget)
    return budget if budget > 0 and max_tokens > SMALLEST_BUDGET else None
