"""The token counts that a host tells, in the shape of any API."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class TokensTold(NamedTuple):
    """How many tokens an answer took. None: not told."""

    input: int | None = None
    """With those that were read from a cache or written to it."""
    output: int | None = None
    """With those that the model thought."""
    cached: int = 0
    reasoning: int = 0


NOTHING_TOLD = TokensTold()


def tokens_told(usage: Mapping[str, Any] | None) -> TokensTold:
    """What a usage says: of chat completions and embeddings (`prompt_tokens`), Responses or Messages (both
    `input_tokens`, of which only Messages leaves out what has to do with a cache). Never raises.
    """
    if usage is None:
        return NOTHING_TOLD
    prompt = _count(usage.get("prompt_tokens"))
    if prompt is not None or "completion_tokens" in usage:
        cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
        reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
        output = _count(usage.get("completion_tokens"))
        # An embedding has no output, and says so by leaving it out.
        return TokensTold(prompt, 0 if output is None and prompt is not None else output, cached, reasoning)
    whole, output = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        cached = _count(usage.get("cache_read_input_tokens")) or 0
        created = _count(usage.get("cache_creation_input_tokens")) or 0
        return TokensTold(None if whole is None else whole + cached + created, output, cached)
    cached = _detail(usage, "input_tokens_details", "cached_tokens")
    reasoning = _detail(usage, "output_tokens_details", "reasoning_tokens")
    return TokensTold(whole, output, cached, reasoning)


def _detail(usage: Mapping[str, Any], details: str, name: str) -> int:
    found = usage.get(details)
    return (_count(found.get(name)) or 0) if isinstance(found, Mapping) else 0


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
    return value if is_count else None
