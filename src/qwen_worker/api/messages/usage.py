"""How many tokens were used, in Anthropic's way of counting.

Anthropic's `input_tokens` leaves out what was read from the prompt cache or written to it; a chat
completion's `prompt_tokens` is all of it (apis-on-the-wire 3.2). DashScope tells what it wrote to an
explicit cache in `prompt_tokens_details.cache_creation_input_tokens`.
"""

from collections.abc import Mapping
from typing import Any


def usage_of(usage: Mapping[str, Any] | None, *, input_tokens: int, output_tokens: int) -> dict[str, int]:
    """Usage as Anthropic tells it. The two numbers are estimates, for what the host did not tell."""
    told = usage if usage is not None else {}
    prompt = _count(told.get("prompt_tokens"))
    details = told.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    cached = _count(details.get("cached_tokens")) or 0
    created = _count(details.get("cache_creation_input_tokens")) or 0
    completion = _count(told.get("completion_tokens"))
    return {
        "input_tokens": input_tokens if prompt is None else max(0, prompt - cached - created),
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": cached,
        "output_tokens": output_tokens if completion is None else completion,
    }


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None
