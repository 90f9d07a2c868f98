"""Our errors as Anthropic's API words them (apis-on-the-wire 3.4).

{"type": "error", "error": {"type": ..., "message": ...}, "request_id": ...}
"""

import json
import re

from qwen_worker.errors import ProxyError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's error types by HTTP status; every other status is an `api_error`."""

_TOO_LONG = "prompt is too long:"

_longest_input = re.compile(r"maximum context length is (\d+)|\[\d+, *(\d+)\]|> (\d+) maximum").search
_input_length = re.compile(r"(?:resulted in|requested|is too long:) (\d+)").search


def error_type(error: ProxyError) -> str:
    """Anthropic's type of an error."""
    return _TYPES.get(error.status, "api_error")


def error_body(error: ProxyError, request_id: str | None) -> str:
    """The error's body as JSON text, for an answer and for an `error` event.

    `request_id` is also due as the header `request-id`, which the SDKs show.
    """
    body = {
        "type": "error",
        "error": {"type": error_type(error), "message": _message(error)},
        "request_id": request_id,
    }
    return json.dumps(body)


def error_event(error: ProxyError, request_id: str | None) -> bytes:
    """The error as the last event of a stream."""
    return f"event: error\ndata: {error_body(error, request_id)}\n\n".encode()


def _message(error: ProxyError) -> str:
    if error.code == "context_length_exceeded":
        return too_long(error.message)
    if error.param and error.param not in error.message:
        return f"{error.param}: {error.message}"
    return error.message


def too_long(message: str, prompt_tokens: int = 0) -> str:
    """Words that Claude Code takes as a reason to compact the conversation, and reads both numbers from.

    `prompt_tokens` is our estimate of what Qwen mostly does not say: the prompt was longer than the maximum
    in any case. A message that has this form already stays.
    """
    longest = _longest_input(message)
    if longest is None:
        return message if message.startswith(_TOO_LONG) else f"{_TOO_LONG} {message}"
    maximum = int(longest[longest.lastindex or 0])
    told = _input_length(message)
    tokens = int(told[1]) if told is not None else prompt_tokens
    return f"{_TOO_LONG} {max(tokens, maximum + 1)} tokens > {maximum} maximum"
