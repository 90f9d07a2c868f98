"""Our errors in Anthropic's words."""

import json

import pytest

from qwen_worker import errors
from qwen_worker.api.messages.errors import error_body, error_event, too_long
from qwen_worker.upstream.errors import error_from_response
from tests.support.messages_grammar import read_messages_stream


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidRequest("x"), "invalid_request_error"),
        (errors.InvalidApiKey("x"), "authentication_error"),
        (errors.NotFound("x"), "not_found_error"),
        (errors.MethodNotAllowed("x", allow="POST"), "not_found_error"),
        (errors.PayloadTooLarge("x"), "request_too_large"),
        (errors.RateLimited("x"), "rate_limit_error"),
        (errors.QuotaExhausted("x"), "rate_limit_error"),
        (errors.CredentialsMissing("x"), "api_error"),
        (errors.CredentialsRejected("x"), "api_error"),
        (errors.RefreshPending("x"), "api_error"),
        (errors.UpstreamBlocked("x"), "api_error"),
        (errors.UpstreamUnavailable("x"), "api_error"),
        (errors.UpstreamTimeout("x"), "timeout_error"),
        (errors.StreamTruncated("x"), "api_error"),
        (errors.InternalError("x"), "api_error"),
        (errors.UpstreamUnavailable("x", status=529), "overloaded_error"),
        (errors.UpstreamUnavailable("x", status=403), "permission_error"),
    ],
)
def test_type(error: errors.ProxyError, expected: str) -> None:
    assert json.loads(error_body(error, "req_1")) == {
        "type": "error",
        "error": {"type": expected, "message": "x"},
        "request_id": "req_1",
    }


def message(error: errors.ProxyError) -> str:
    text: str = json.loads(error_body(error, None))["error"]["message"]
    return text


def test_the_field_is_named_once() -> None:
    assert message(errors.InvalidRequest("too hot", param="temperature")) == "temperature: too hot"
    assert (
        message(errors.InvalidRequest("temperature: too hot", param="temperature")) == "temperature: too hot"
    )


@pytest.mark.parametrize(
    ("words", "prompt_tokens", "expected"),
    [
        ("Range of input length should be [1, 258048]", 300_000, "300000 tokens > 258048 maximum"),
        ("Range of input length should be [1, 258048]", 9, "258049 tokens > 258048 maximum"),
        ("Range of input length should be [1, 258048]", None, "258049 tokens > 258048 maximum"),
        (
            "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens.",
            1,
            "40000 tokens > 32768 maximum",
        ),
        ("input is too long", 1, "input is too long"),
    ],
)
def test_a_prompt_that_is_too_long(words: str, prompt_tokens: int | None, expected: str) -> None:
    body = json.dumps({"code": "InvalidParameter", "message": words})
    error = error_from_response(400, lambda name: None, body, now_ms=0, secrets=[])
    if prompt_tokens is not None:
        error.message = too_long(error.message, prompt_tokens)
    assert message(error) == f"prompt is too long: {expected}"


def test_event() -> None:
    read = read_messages_stream(error_event(errors.RateLimited("Slow down"), "req_1"))
    assert read.error is not None
    assert read.error["error"] == {"type": "rate_limit_error", "message": "Slow down"}
