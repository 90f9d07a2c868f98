"""What a client must see for each way in which Qwen can fail: one table for the unit and the worker tests.

The faults are the simulator's, so both suites are about the same bytes.
"""

from typing import NamedTuple


class Expectation(NamedTuple):
    """The gateway's answer to one fault of Qwen's, the same with and without `stream`.

    `attempts` is how often Qwen is asked with three attempts allowed; `retry_after` the header's value in
    seconds, None for no header; `is_final` whether `x-should-retry: false` stops the SDKs.
    """

    fault: str
    status: int
    type: str
    code: str
    attempts: int = 1
    retry_after: int | None = None
    is_final: bool = False


def _bad_request(fault: str, code: str = "invalid_parameter_error") -> Expectation:
    return Expectation(fault, 400, "invalid_request_error", code)


def _rate_limit(fault: str, *, retry_after: int, attempts: int = 1) -> Expectation:
    return Expectation(fault, 429, "rate_limit_error", "rate_limit_exceeded", attempts, retry_after)


def _quota(fault: str) -> Expectation:
    return Expectation(fault, 429, "insufficient_quota", "insufficient_quota", is_final=True)


def _rejected(fault: str) -> Expectation:
    return Expectation(fault, 503, "upstream_auth_error", "credentials_rejected", is_final=True)


def _unavailable(fault: str, *, attempts: int, retry_after: int | None = None) -> Expectation:
    return Expectation(fault, 502, "upstream_error", "upstream_unavailable", attempts, retry_after)


def _timeout(fault: str, *, attempts: int) -> Expectation:
    return Expectation(fault, 504, "upstream_error", "upstream_timeout", attempts)


def _blocked(fault: str, code: str = "upstream_blocked") -> Expectation:
    return Expectation(fault, 502, "upstream_error", code)


EXPECTATIONS = (
    _rejected("invalid_api_key"),
    _rejected("incorrect_api_key"),
    _rejected("forbidden"),
    _quota("arrearage"),
    _quota("insufficient_quota_daily"),
    _quota("insufficient_quota_daily_403"),
    _quota("hour_quota"),
    _quota("week_quota"),
    _quota("month_quota"),
    _rate_limit("insufficient_quota_minute", retry_after=30),
    _rate_limit("rate_limit_exceeded", retry_after=10),
    _rate_limit("rate_limit_retry_after", retry_after=1, attempts=3),
    _rate_limit("throttling", retry_after=10),
    _rate_limit("throttling_rate_quota", retry_after=10),
    _rate_limit("throttling_allocation_quota", retry_after=30),
    _bad_request("bad_request"),
    _bad_request("context_length", "context_length_exceeded"),
    _bad_request("orphaned_tool_calls"),
    _bad_request("arguments_not_json"),
    _bad_request("tool_choice_with_thinking"),
    _bad_request("data_inspection_failed", "content_filter"),
    _bad_request("data_inspection_failed_camel", "content_filter"),
    Expectation("model_not_found", 404, "invalid_request_error", "model_not_found"),
    _unavailable("internal_error", attempts=1),
    _unavailable("bad_gateway", attempts=3),
    _unavailable("service_unavailable", attempts=3),
    _unavailable("service_unavailable_retry_after", attempts=3, retry_after=1),
    _timeout("gateway_timeout", attempts=3),
    _blocked("html_200"),
    _blocked("html_403"),
    _unavailable("html_500", attempts=1),
    _unavailable("html_502", attempts=3),
    _unavailable("html_503", attempts=3),
    _timeout("html_504", attempts=3),
    _blocked("captcha_200"),
    _blocked("empty_200", "upstream_error"),
    _unavailable("connection_aborted", attempts=3),
    _unavailable("connection_reset", attempts=3),
    _timeout("headers_never", attempts=1),
)
