"""What each of Qwen's errors becomes: one class, status, code, and when to come back."""

import calendar
import json
import time
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.errors import (
    CredentialsRejected,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamBlocked,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from qwen_worker.upstream.errors import (
    RATE_LIMIT_SECONDS,
    TOKEN_LIMIT_SECONDS,
    error_from_event,
    error_from_response,
)

NOW_MS = calendar.timegm((2026, 7, 27, 9, 0, 0)) * 1000
PAGE = "<!doctype html><html><body>Please slide to verify</body></html>"
TOKEN_LIMIT = (
    "You exceeded your current quota, please check your plan and billing details. "
    "For details, see: https://help.example/error-code#token-limit"
)


def answer(
    status: int,
    body: Any,
    *,
    secrets: tuple[str, ...] | list[str] = (),
    model: str | None = None,
    **headers: str,
) -> ProxyError:
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_response(status, named.get, text, now_ms=NOW_MS, secrets=[*secrets], model=model)


def openai_error(code: str | None, message: str, **more: Any) -> dict[str, Any]:
    return {
        "error": {"code": code, "message": message, "type": code, "param": None, **more},
        "request_id": "r-1",
    }


class Row(NamedTuple):
    """An error of Qwen's and what it becomes."""

    status: int
    body: Any
    kind: type[ProxyError]
    code: str
    scope: str
    retry_after_seconds: float | None = None


ROWS = {
    "dead token": Row(
        401,
        openai_error("invalid_api_key", "invalid access token or token expired"),
        CredentialsRejected,
        "credentials_rejected",
        "account",
    ),
    "wrong key": Row(
        401,
        openai_error("invalid_api_key", "Incorrect API key provided."),
        CredentialsRejected,
        "credentials_rejected",
        "account",
    ),
    "401 without words": Row(401, "", CredentialsRejected, "credentials_rejected", "account"),
    "403 without a reason": Row(
        403,
        openai_error("access_denied", "Access denied."),
        CredentialsRejected,
        "credentials_rejected",
        "account",
    ),
    "403 without words": Row(403, "", CredentialsRejected, "credentials_rejected", "account"),
    "day's quota, 403": Row(
        403,
        openai_error("insufficient_quota", "Free allocated quota exceeded."),
        QuotaExhausted,
        "insufficient_quota",
        "account",
    ),
    "day's quota, 429": Row(
        429,
        openai_error("insufficient_quota", "Free allocated quota exceeded."),
        QuotaExhausted,
        "insufficient_quota",
        "account",
    ),
    "quota without words": Row(
        429, openai_error("insufficient_quota", ""), QuotaExhausted, "insufficient_quota", "account"
    ),
    "free tier of a model": Row(
        403,
        openai_error("AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted."),
        QuotaExhausted,
        "insufficient_quota",
        "model",
    ),
    "tokens a minute": Row(
        429,
        openai_error("insufficient_quota", TOKEN_LIMIT),
        RateLimited,
        "rate_limit_exceeded",
        "model",
        TOKEN_LIMIT_SECONDS,
    ),
    "rate": Row(
        429,
        openai_error("rate_limit_exceeded", "Slow down."),
        RateLimited,
        "rate_limit_exceeded",
        "account",
        RATE_LIMIT_SECONDS,
    ),
    "Throttling.RateQuota": Row(
        429,
        {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded.", "request_id": "r-1"},
        RateLimited,
        "rate_limit_exceeded",
        "model",
        RATE_LIMIT_SECONDS,
    ),
    "Throttling.AllocationQuota": Row(
        429,
        openai_error(
            "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."
        ),
        RateLimited,
        "rate_limit_exceeded",
        "model",
        TOKEN_LIMIT_SECONDS,
    ),
    "429 in HTML": Row(429, PAGE, RateLimited, "rate_limit_exceeded", "account", RATE_LIMIT_SECONDS),
    **{
        f"quota of a plan's {period}": Row(
            429,
            openai_error("Throttling.AllocationQuota", f"{period} allocated quota exceeded."),
            QuotaExhausted,
            "insufficient_quota",
            "account",
        )
        for period in ("hour", "week", "month")
    },
    "quota that will be reset": Row(
        429,
        openai_error(
            "insufficient_quota", "hour allocated quota exceeded. It will reset at 07-27 09:25:00 UTC."
        ),
        QuotaExhausted,
        "insufficient_quota",
        "account",
        1500,
    ),
    "unpaid account": Row(
        400,
        openai_error("Arrearage", "Access denied, please make sure your account is in good standing."),
        QuotaExhausted,
        "insufficient_quota",
        "account",
    ),
    "payment required": Row(402, openai_error(None, "Pay."), QuotaExhausted, "insufficient_quota", "account"),
    "bad request": Row(
        400,
        openai_error("invalid_parameter_error", "bad request"),
        InvalidRequest,
        "invalid_parameter_error",
        "request",
    ),
    "bad request, flat": Row(
        400, {"code": "InvalidParameter", "message": "x"}, InvalidRequest, "InvalidParameter", "request"
    ),
    "bad request, no code": Row(422, {"detail": "x"}, InvalidRequest, "invalid_value", "request"),
    "context length": Row(
        400,
        openai_error("invalid_parameter_error", "<400> Range of input length should be [1, 98304]"),
        InvalidRequest,
        "context_length_exceeded",
        "request",
    ),
    "context length elsewhere": Row(
        400,
        openai_error(
            "400", "This model's maximum context length is 32768 tokens. However, you requested 40000."
        ),
        InvalidRequest,
        "context_length_exceeded",
        "request",
    ),
    "content filter": Row(
        400,
        openai_error("data_inspection_failed", "Input data may ..."),
        InvalidRequest,
        "content_filter",
        "request",
    ),
    "content filter, camel": Row(
        400,
        {"code": "DataInspectionFailed", "message": "Output data may ..."},
        InvalidRequest,
        "content_filter",
        "request",
    ),
    "unknown model": Row(
        404,
        openai_error("model_not_found", "The model does not exist."),
        NotFound,
        "model_not_found",
        "model",
    ),
    "unknown model, in words": Row(
        404, {"message": "The model does not exist."}, NotFound, "model_not_found", "model"
    ),
    "forbidden model": Row(
        403, openai_error("Model.AccessDenied", "Model access denied."), NotFound, "model_not_found", "model"
    ),
    "wrong path": Row(404, "", UpstreamUnavailable, "upstream_error", "account"),
    "wrong method": Row(405, {"message": "x"}, UpstreamUnavailable, "upstream_error", "account"),
    "too large": Row(413, openai_error(None, "x"), PayloadTooLarge, "request_too_large", "request"),
    "internal error": Row(
        500, openai_error("internal_error", "x"), UpstreamUnavailable, "upstream_unavailable", "account"
    ),
    "bad gateway in HTML": Row(502, PAGE, UpstreamUnavailable, "upstream_unavailable", "account"),
    "overloaded": Row(
        503, openai_error("ModelServingError", "x"), UpstreamUnavailable, "upstream_unavailable", "account"
    ),
    "gateway time-out in HTML": Row(504, PAGE, UpstreamTimeout, "upstream_timeout", "account"),
    "time-out": Row(
        500, {"code": "RequestTimeOut", "message": "x"}, UpstreamTimeout, "upstream_timeout", "account"
    ),
    "captcha with 200": Row(200, PAGE, UpstreamBlocked, "upstream_blocked", "account"),
    "firewall with 403": Row(403, " \n" + PAGE, UpstreamBlocked, "upstream_blocked", "account"),
    "firewall with 401": Row(401, PAGE, UpstreamBlocked, "upstream_blocked", "account"),
    "firewall with 405": Row(405, PAGE, UpstreamBlocked, "upstream_blocked", "account"),
    "redirect": Row(302, "", UpstreamBlocked, "upstream_error", "account"),
    "empty 200": Row(200, "", UpstreamBlocked, "upstream_error", "account"),
    "no JSON in a 200": Row(200, "OK", UpstreamBlocked, "upstream_blocked", "account"),
    "another kind of 200": Row(200, {"object": "x"}, UpstreamBlocked, "upstream_blocked", "account"),
    "error in a 200": Row(
        200,
        openai_error("rate_limit_exceeded", "x"),
        RateLimited,
        "rate_limit_exceeded",
        "account",
        RATE_LIMIT_SECONDS,
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_error_becomes_one_class(row: Row) -> None:
    error = answer(row.status, row.body)

    assert type(error) is row.kind
    assert (error.code, error.scope, error.retry_after_seconds) == (
        row.code,
        row.scope,
        row.retry_after_seconds,
    )
    assert error.status == row.kind.status
    assert error.status != 401
    assert error.upstream_status == row.status or row.status == 200


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_sdks_repeat_only_what_may_succeed(row: Row) -> None:
    error = answer(row.status, row.body)

    repeats = error.status >= 429 and error.headers().get("x-should-retry") != "false"
    passing = row.kind in (RateLimited, UpstreamUnavailable, UpstreamTimeout, UpstreamBlocked)
    assert repeats == (passing and not (row.kind is UpstreamUnavailable and row.code == "upstream_error"))


def test_a_long_conversation_is_reported_in_words_that_clients_know() -> None:
    error = answer(
        400, openai_error("invalid_parameter_error", "<400> Range of input length should be [1, 98304]")
    )

    assert "this model's maximum context length is 98304 tokens" in error.message
    assert "Range of input length should be [1, 98304]" in error.message
    assert error.param == "messages"


def test_qwens_words_and_request_id_are_kept() -> None:
    error = answer(
        400, openai_error("invalid_parameter_error", "The tool_choice parameter ...", param="tool_choice")
    )

    assert error.message == "The tool_choice parameter ..."
    assert error.param == "tool_choice"
    assert error.upstream_request_id == "r-1"


def test_the_request_id_may_be_in_a_header() -> None:
    assert answer(500, PAGE, x_request_id="r-2").upstream_request_id == "r-2"
    assert answer(500, PAGE, x_request_id="r\n2").upstream_request_id is None
    assert answer(500, PAGE, x_request_id="r" * 200).upstream_request_id is None


def test_an_unknown_model_is_named() -> None:
    assert "`qwen9`" in answer(404, openai_error("model_not_found", "x"), model="qwen9").message


def test_the_callers_key_is_not_blamed_for_ours() -> None:
    error = answer(401, openai_error("invalid_api_key", "Incorrect API key provided."))

    assert error.status == 503
    assert "gateway's own credential" in error.message


@pytest.mark.parametrize(
    "leak",
    [
        "sk-abcdef0123456789",
        "sk-sp-ab12****ef89",
        "Bearer abc.def-ghi",
        "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl",
        'access_token="0a1b2c3d4e"',
        "api-key: 0a1b2c3d4e",
        "API key provided: 0a1b2c3d4e",
        "0123456789abcdef0123456789abcdef",
        "the-secret",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_what_looks_like_a_credential_is_blotted_out(leak: str, status: int) -> None:
    value = leak.split()[-1].split("=")[-1].strip('"')
    for body in (
        openai_error(leak, f"Not valid: {leak}."),
        {"code": "x", "message": leak, "request_id": leak},
        openai_error("x", f"({leak})"),
    ):
        error = answer(status, body, secrets=["the-secret"])
        assert value not in error.message
        assert value not in error.code
    assert (
        answer(
            status, {"message": "x", "request_id": "the-secret"}, secrets=["the-secret"]
        ).upstream_request_id
        is None
    )


@pytest.mark.parametrize(
    "words",
    [
        "invalid access token or token expired",
        "Range of max_tokens should be [1, 65536]",
        "see 5bf78562-0341-9de2-8d10-5429ef761b7e at https://help.example/error-code#apikey-error",
        "模型不支持该参数请检查tool_choice是否为auto最多128个工具谢谢合作模型不支持该参数",
    ],
)
def test_harmless_words_are_not(words: str) -> None:
    assert answer(400, openai_error("x", words)).message == words


def test_endless_words_are_cut() -> None:
    assert len(openai_error_body(answer(400, openai_error("x" * 5000, "word " * 5000)))) < 2000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "2500", "retry_after": "7"}, 2.5),
        ({"retry_after": "Mon, 27 Jul 2026 09:00:30 GMT"}, 30),
        ({"retry_after": "Mon, 27 Jul 2026 08:59:00 GMT"}, 1),
        ({"retry_after": "Mon, 27 Jul 1970 09:00:30 GMT"}, RATE_LIMIT_SECONDS),
        ({"retry_after": "-7"}, RATE_LIMIT_SECONDS),
        ({"retry_after": "nan"}, RATE_LIMIT_SECONDS),
        ({"retry_after": "inf"}, RATE_LIMIT_SECONDS),
        ({"retry_after": "soon"}, RATE_LIMIT_SECONDS),
        ({}, RATE_LIMIT_SECONDS),
    ],
)
def test_qwens_own_time_to_come_back_is_kept(headers: dict[str, str], seconds: float) -> None:
    for body in (openai_error("rate_limit_exceeded", "x"), PAGE):
        assert answer(429, body, secrets=[], **headers).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("07-27 09:25:00 UTC.", 1500),
        ("07-27 09:00:01 UTC", 1),
        ("07-27 08:59:30 UTC", 1),
        ("08-01 00:00:00 UTC", 4 * 86_400 + 15 * 3600),
        ("2026-07-27 09:25:00 UTC", 1500),
        ("99-99 09:25:00 UTC", RATE_LIMIT_SECONDS),
        ("12-31 09:25:00 UTC", RATE_LIMIT_SECONDS),
    ],
)
def test_the_time_of_a_reset_is_understood(reset: str, seconds: float) -> None:
    error = answer(429, openai_error("rate_limit_exceeded", f"Too many requests; it will reset at {reset}"))

    assert error.retry_after_seconds == seconds


def test_a_reset_in_the_new_year_lies_ahead() -> None:
    now_ms = calendar.timegm((2027, 12, 31, 23, 59, 0)) * 1000
    body = json.dumps(openai_error("rate_limit_exceeded", "will reset at 01-01 00:01:00 UTC."))

    assert (
        error_from_response(429, lambda _: None, body, now_ms=now_ms, secrets=[]).retry_after_seconds == 120
    )


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_dates_are_reckoned_as_the_calendar_has_them(at: int) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at + 100))

    error = error_from_response(429, {"retry-after": date}.get, "{}", now_ms=at * 1000, secrets=[])

    assert error.retry_after_seconds == 100


# --- errors inside a stream


def chunk(finish_reason: str | None = None, content: str | None = "x", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}


@pytest.mark.parametrize(
    "data",
    [
        chunk(),
        chunk("stop"),
        chunk(error=None),
        chunk(code=None, message=None),
        {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 1}},
        {"choices": None},
        {"choices": ["x"]},
        {"choices": [{"finish_reason": None, "delta": None}]},
        {},
        [],
        None,
        "[DONE]",
        7,
    ],
)
def test_a_chunk_like_any_other_is_no_error(data: Any) -> None:
    assert error_from_event(data, http_status=None, now_ms=NOW_MS, secrets=[]) is None


@pytest.mark.parametrize(
    ("data", "http_status", "kind"),
    [
        (chunk("error_finish", '{"error":{"code":"429","message":"Too many requests"}}'), None, RateLimited),
        (chunk("error_finish", '{"code":429,"message":"Slow down."}'), None, RateLimited),
        (chunk("error_finish", "Free allocated quota exceeded."), None, QuotaExhausted),
        (chunk("error_finish", "something"), None, UpstreamUnavailable),
        (chunk("error_finish", None), None, UpstreamUnavailable),
        (chunk("error_finish", '{"code":"data_inspection_failed","message":"x"}'), None, InvalidRequest),
        ({"request_id": "r-1", "code": "Throttling.RateQuota", "message": "x"}, 429, RateLimited),
        ({"request_id": "r-1", "code": "Throttling.RateQuota", "message": "x"}, None, RateLimited),
        ({"request_id": "r-1", "code": "InvalidParameter", "message": "x"}, None, InvalidRequest),
        ({"code": "InvalidApiKey", "message": "x"}, None, CredentialsRejected),
        ({"code": "x", "message": "y"}, 400, InvalidRequest),
        ({"code": "x", "message": "y"}, None, UpstreamUnavailable),
        (
            {"error": {"code": "insufficient_quota", "message": "Free allocated quota exceeded."}},
            None,
            QuotaExhausted,
        ),
        ({"error": {"code": "internal_error", "message": "x"}}, None, UpstreamUnavailable),
        ({"error": {"message": "Request timed out"}}, None, UpstreamTimeout),
        ({"error": "overloaded"}, None, UpstreamUnavailable),
        (chunk(error={"code": "rate_limit_exceeded", "message": "x"}), None, RateLimited),
    ],
)
def test_an_error_hidden_in_a_stream_is_found(
    data: dict[str, Any], http_status: int | None, kind: type[ProxyError]
) -> None:
    error = error_from_event(data, http_status=http_status, now_ms=NOW_MS, secrets=[])

    assert type(error) is kind


def test_a_hidden_error_keeps_its_words_without_the_secret() -> None:
    data = chunk("error_finish", '{"error":{"message":"Bad token the-secret here"},"request_id":"r-1"}')

    error = error_from_event(data, http_status=None, now_ms=NOW_MS, secrets=["the-secret"])

    assert error is not None
    assert "Bad token [redacted] here" in error.message
    assert error.upstream_request_id == "r-1"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "code", "message", "type", "param", "request_id", "choices", "delta"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(json_values | st.text(), st.integers(100, 599), st.text(max_size=10), st.integers(0, 2**45))
def test_any_answer_becomes_an_error_that_can_be_shown(
    body: Any, status: int, header: str, now_ms: int
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)

    error = error_from_response(
        status, lambda _: header, text, now_ms=now_ms, secrets=["the-secret"], model=header
    )
    hidden = error_from_event(body, http_status=None, now_ms=now_ms, secrets=[])

    for shown in (error, hidden):
        if shown is not None:
            assert json.loads(openai_error_body(shown))["error"]["message"]
            assert shown.status != 401
            assert all(value.isprintable() for value in shown.headers().values())
