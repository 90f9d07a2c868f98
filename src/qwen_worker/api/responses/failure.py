"""An error as the `error` of a failed response, with the codes that clients read.

Codex 0.171 (apis-on-the-wire, 3.1): `context_length_exceeded` and `insufficient_quota` are shown and not
retried, `rate_limit_exceeded` waits as long as its message says ("try again in 1.5s"), `invalid_prompt` is
final. Everything else it sends again.
"""

from typing import Any

from qwen_worker.errors import (
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    ProxyError,
    QuotaExhausted,
    RateLimited,
)


def response_error(error: ProxyError) -> dict[str, Any]:
    """The `error` object of a response: `{"code", "message"}`."""
    return {"code": _code(error), "message": _message(error)}


def _code(error: ProxyError) -> str:
    if isinstance(error, QuotaExhausted):
        return "insufficient_quota"
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    if error.code == "context_length_exceeded":
        return error.code
    is_final = isinstance(error, InvalidRequest | NotFound | PayloadTooLarge)
    return "invalid_prompt" if is_final else "server_error"


def _message(error: ProxyError) -> str:
    seconds = error.retry_after_seconds
    if not isinstance(error, RateLimited) or seconds is None:
        return error.message
    return f"{error.message} Please try again in {max(0.1, seconds):.1f}s."
