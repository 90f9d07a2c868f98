"""The headers of Qwen's answer that go on to the client."""

from typing import TYPE_CHECKING

from qwen_worker.platform.ports import InboundResponse

if TYPE_CHECKING:
    from qwen_worker.upstream.error_reader import ErrorReader

RATE_LIMIT_HEADERS = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)

UPSTREAM_REQUEST_ID = "x-upstream-request-id"

_REQUEST_ID_HEADERS = ("x-request-id", "x-dashscope-request-id", "request_id")
"""Where hosts put the id that their support asks for."""


def passed_headers(answer: InboundResponse, errors: "ErrorReader") -> dict[str, str]:
    """The host's request id, if it looks like one, and what it tells of rate limits."""
    headers: dict[str, str] = {}
    for name in _REQUEST_ID_HEADERS:
        told = answer.header(name)
        request_id = None if told is None else errors.identifier(told)
        if request_id is not None:
            headers[UPSTREAM_REQUEST_ID] = request_id
            break
    for name in RATE_LIMIT_HEADERS:
        told = answer.header(name)
        value = None if told is None else errors.identifier(told)
        if value is not None:
            headers[name] = value
    return headers
