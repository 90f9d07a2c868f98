"""What a host tells of an answer, in a form for the log that can hold no part of a secret, a prompt or a
completion.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwen_worker.upstream.error_reader import ErrorReader

_FINISH_REASONS = frozenset(("stop", "length", "tool_calls", "content_filter"))
_COUNTS = frozenset(
    (
        *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"),
        *("prompt_tokens_details", "completion_tokens_details", "cached_tokens", "reasoning_tokens"),
    )
)
"""Nearly every answer has only these. They need no closer look."""

_MOST_COUNTS = 40
_LEVELS = 3
_LARGEST = 1e15


def finish_reason(reason: str | None, errors: "ErrorReader") -> str | None:
    """A finish reason, if it looks like one."""
    return reason if reason is None or reason in _FINISH_REASONS else errors.identifier(reason)


def counts(usage: dict[str, Any] | None, errors: "ErrorReader") -> dict[str, Any] | None:
    """The numbers in a usage, by their names, also nested; everything else is left out."""
    return None if usage is None else _counts(usage, errors, _LEVELS)


def _counts(usage: dict[str, Any], errors: "ErrorReader", levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in [*usage.items()][:_MOST_COUNTS]:
        if not (name in _COUNTS or errors.identifier(name)):
            continue
        if type(value) in (int, float):
            if -_LARGEST < value < _LARGEST:
                found[name] = value
        elif isinstance(value, dict) and levels > 1:
            found[name] = _counts(value, errors, levels - 1)
    return found
