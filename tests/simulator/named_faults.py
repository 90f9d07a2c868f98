"""Ready-made faults: every error that Qwen, DashScope and the gateways before them are known to answer
with.

Each value holds fields of `Fault`. The text `{reset_at}` in a message becomes the time `reset_in_seconds`
from now.
"""

from __future__ import annotations

from typing import Final

from tests.simulator.json_types import JsonObject, JsonValue


def _error(
    status: int, code: str | None, message: str, kind: str | None = None, **more: JsonValue
) -> JsonObject:
    error: JsonObject = {
        "message": message,
        "type": kind or code or "invalid_request_error",
        "param": None,
        "code": code,
    }
    return {"status": status, "body": {"error": error}, **more}


def _page(status: int, text: str, **more: JsonValue) -> JsonObject:
    return {"status": status, "body": text, "content_type": "text/html; charset=utf-8", **more}


def _oauth_error(status: int, error: str, description: str, **more: JsonValue) -> JsonObject:
    return {"status": status, "body": {"error": error, "error_description": description}, **more}


_NEVER_MS: Final = 3_600_000
_INVALID_PARAMETER: Final = "invalid_parameter_error"
ALGORITHM_PREFIX: Final = "<400> InternalError.Algo.InvalidParameter: "
_CAPTCHA: Final = (
    "<!doctype html><html><head><title>Verification</title></head>"
    '<body><div id="nocaptcha">Please slide to verify</div></body></html>'
)
INVALID_REFRESH_TOKEN: Final = "Invalid refresh token or client_id"

NAMED_FAULTS: Final[dict[str, JsonObject]] = {
    # credentials
    "invalid_api_key": _error(
        401, "invalid_api_key", "invalid access token or token expired", "invalid_request_error"
    ),
    "incorrect_api_key": _error(
        401,
        "invalid_api_key",
        "Incorrect API key provided. For details, see: https://help.example/error-code#apikey-error",
        "invalid_request_error",
    ),
    "forbidden": _error(403, "access_denied", "Access denied.", "invalid_request_error"),
    "arrearage": _error(
        400, "Arrearage", "Access denied, please make sure your account is in good standing.", "Arrearage"
    ),
    # quota and rate
    "insufficient_quota_daily": _error(429, "insufficient_quota", "Free allocated quota exceeded."),
    "insufficient_quota_daily_403": _error(403, "insufficient_quota", "Free allocated quota exceeded."),
    "insufficient_quota_minute": _error(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. "
        "For details, see: https://help.example/error-code#token-limit",
    ),
    "rate_limit_exceeded": _error(429, "rate_limit_exceeded", "Rate limit exceeded, please try again later."),
    "rate_limit_retry_after": _error(
        429,
        "rate_limit_exceeded",
        "Rate limit exceeded, please try again later.",
        headers={"Retry-After": "1"},
    ),
    "throttling": _error(429, "Throttling", "Requests throttled, please try again later."),
    "throttling_rate_quota": _error(
        429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."
    ),
    "throttling_allocation_quota": _error(
        429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."
    ),
    "hour_quota": _error(429, "Throttling.AllocationQuota", "hour allocated quota exceeded."),
    "week_quota": _error(429, "Throttling.AllocationQuota", "week allocated quota exceeded."),
    "month_quota": _error(429, "Throttling.AllocationQuota", "month allocated quota exceeded."),
    "will_reset_at": _error(
        429,
        "insufficient_quota",
        "You have exceeded the 5-hour usage quota. It will reset at {reset_at} UTC.",
    ),
    # the caller's mistakes
    "bad_request": _error(400, _INVALID_PARAMETER, "bad request", "invalid_request_error"),
    "context_length": _error(
        400,
        _INVALID_PARAMETER,
        f"{ALGORITHM_PREFIX}Range of input length should be [1, 1000000]",
        "invalid_request_error",
    ),
    "orphaned_tool_calls": _error(
        400,
        _INVALID_PARAMETER,
        f'{ALGORITHM_PREFIX}An assistant message with "tool_calls" must be followed by tool '
        'messages responding to each "tool_call_id".',
        "invalid_request_error",
    ),
    "arguments_not_json": _error(
        400,
        _INVALID_PARAMETER,
        f'{ALGORITHM_PREFIX}The "function.arguments" parameter of the code model must be in JSON format.',
        "invalid_request_error",
    ),
    "tool_choice_with_thinking": _error(
        400,
        _INVALID_PARAMETER,
        f"{ALGORITHM_PREFIX}The tool_choice parameter does not support being set to required "
        "or object in thinking mode",
        "invalid_request_error",
    ),
    "data_inspection_failed": _error(
        400,
        "data_inspection_failed",
        "Input data may contain inappropriate content.",
        "data_inspection_failed",
    ),
    "data_inspection_failed_camel": _error(
        400, "DataInspectionFailed", "Output data may contain inappropriate content.", "DataInspectionFailed"
    ),
    "model_not_found": _error(
        404,
        "model_not_found",
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
    ),
    # gateways, firewalls, breakdowns
    "internal_error": _error(500, "internal_error", "An internal error has occured, please try again later."),
    "bad_gateway": _error(502, "bad_gateway", "Bad gateway."),
    "service_unavailable": _error(
        503, "service_unavailable", "The model is overloaded, please try again later."
    ),
    "service_unavailable_retry_after": _error(
        503,
        "service_unavailable",
        "The model is overloaded, please try again later.",
        headers={"Retry-After": "1"},
    ),
    "gateway_timeout": _error(504, "gateway_timeout", "Gateway time-out."),
    "html_200": _page(200, "<!doctype html><html><body><h1>Welcome</h1></body></html>"),
    "html_403": _page(
        403, "<!doctype html><html><body><h1>Access blocked by the firewall</h1></body></html>"
    ),
    "html_500": _page(500, "<html><body><h1>500 Internal Server Error</h1></body></html>"),
    "html_502": _page(502, "<html><body><center><h1>502 Bad Gateway</h1></center></body></html>"),
    "html_503": _page(503, "<html><body><center><h1>503 Service Unavailable</h1></center></body></html>"),
    "html_504": _page(504, "<html><body><center><h1>504 Gateway Time-out</h1></center></body></html>"),
    "captcha_200": _page(200, _CAPTCHA),
    "empty_200": {"status": 200, "body": ""},
    "empty_stream_200": {"status": 200, "body": "", "content_type": "text/event-stream;charset=UTF-8"},
    "not_json_200": {"status": 200, "body": '{"id": "chatcmpl-', "content_type": "application/json"},
    "json_instead_of_sse": {"json_instead_of_sse": True},
    "connection_aborted": {"abort_before_headers": True},
    "connection_reset": {"abort_before_headers": True, "reset": True},
    "headers_never": {"delay_before_headers_ms": _NEVER_MS},
    # inside a stream of status 200
    "error_finish_first": {"error_finish_after": 0},
    "error_event_first": {"error_event_after": 0},
    "error_data_first": {"error_data_after": 0},
    "death_mid_stream": {"abort_after": 3},
    "end_without_finish": {"end_after": 3},
    "stall_mid_stream": {"stall_after": 3},
    "usage_without_finish": {"no_finish_reason": True, "always_usage": True, "no_done": True},
    "stop_after_tool_calls": {"finish_reason": "stop"},
    "repeated_deltas": {"text": ["ha", "ha", "ha"]},
    # token and device code endpoints
    "oauth_invalid_request": _oauth_error(400, "invalid_request", INVALID_REFRESH_TOKEN),
    "oauth_invalid_request_401": _oauth_error(401, "invalid_request", INVALID_REFRESH_TOKEN),
    "oauth_invalid_grant": _oauth_error(400, "invalid_grant", "Refresh token is invalid or expired"),
    "oauth_invalid_grant_401": _oauth_error(401, "invalid_grant", "Refresh token is invalid or expired"),
    "oauth_429": _oauth_error(429, "rate_limited", "Too many requests", headers={"Retry-After": "1"}),
    "oauth_500": _oauth_error(500, "server_error", "Internal server error"),
    "oauth_504_html": _page(504, "<html><body><center><h1>504 Gateway Time-out</h1></center></body></html>"),
    "oauth_200_error": _oauth_error(200, "server_error", "Temporarily unavailable"),
    "oauth_200_html": _page(200, "<!doctype html><html><body><h1>Welcome</h1></body></html>"),
    "oauth_200_captcha": _page(200, _CAPTCHA),
    "oauth_200_empty": {"status": 200, "body": ""},
    "oauth_timeout": {"delay_before_headers_ms": _NEVER_MS},
    "oauth_answer_lost": {"spend_refresh_token": True, "abort_before_headers": True},
    "oauth_missing_expires_in": {"omit": ["expires_in"]},
    "oauth_missing_refresh_token": {"omit": ["refresh_token"]},
    "oauth_missing_resource_url": {"omit": ["resource_url"]},
    "oauth_slow_down": _oauth_error(429, "slow_down", "Polling too fast"),
    "oauth_slow_down_400": _oauth_error(400, "slow_down", "Polling too fast"),
    "oauth_authorization_pending": _oauth_error(
        400, "authorization_pending", "The user has not approved yet"
    ),
    "oauth_access_denied": _oauth_error(400, "access_denied", "The user denied the request"),
    "oauth_expired_token": _oauth_error(400, "expired_token", "The device code has expired"),
    # A guess: nobody has published how Qwen words it, and some saw an HTML page (`oauth_200_html`).
    "oauth_tier_closed": _oauth_error(
        403, "unauthorized_client", "Qwen OAuth free tier was discontinued on 2026-04-15."
    ),
    "oauth_device_code_expired_401": _oauth_error(401, "invalid_request", "The device code has expired"),
}
