"""What Qwen's errors mean: each answer or event that is not a completion becomes one class of our taxonomy.

| Qwen says                                                       | class                                    |
|-----------------------------------------------------------------|------------------------------------------|
| a per-minute limit, `Throttling.*`, `rate_limit_exceeded`       | RateLimited                              |
| a day's, a plan's or a free tier's quota is gone, `Arrearage`   | QuotaExhausted                           |
| 401; 403 without another reason                                 | CredentialsRejected                      |
| 404 or 403 about a model                                        | NotFound (model_not_found)               |
| 400 about the length of the input                               | InvalidRequest (context_length_exceeded) |
| 400 `data_inspection_failed`                                    | InvalidRequest (content_filter)          |
| other 400 and 422                                               | InvalidRequest, with Qwen's own code     |
| HTML (not with a 5xx), a redirect, a 2xx without a completion   | UpstreamBlocked                          |
| 5xx                                                             | UpstreamUnavailable, UpstreamTimeout     |

An unpaid account (`Arrearage`, HTTP 400 at Qwen) is no mistake of the client: it is what OpenAI answers with
429 `insufficient_quota` too, which every client knows not to repeat.

Qwen's message and request id are kept, since they are what an operator searches for; whatever looks like a
credential in them is replaced.

A message may quote the client's own words, so whether an account or a model is to blame is told by status and
code. Only where a host sends no code, the message decides.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from qwen_worker.errors import (
    CLIENT_NOT_ALLOWED,
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
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.upstream.redaction import identifier, redacted
from qwen_worker.upstream.retry_times import reset_seconds, retry_after_seconds

RATE_LIMIT_SECONDS = 10.0
"""Retry-After for a limit on requests, when Qwen names no time."""

TOKEN_LIMIT_SECONDS = 30.0
"""Retry-After for a limit on tokens a minute, when Qwen names no time."""

_LONGEST_MESSAGE = 1000
_LONGEST_CODE = 100


class _Report(NamedTuple):
    """What an error says, wherever it was found. Texts are empty where it says nothing."""

    status: int
    code: str
    message: str
    param: str | None
    request_id: str | None
    retry_after_seconds: float | None
    is_certain: bool = True
    """Whether the host has said the status, or a code that tells it."""

    @property
    def text(self) -> str:
        """Code and message in lower case, to look for words in."""
        return f"{self.code} {self.message}".lower()


def error_from_response(
    status: int,
    header: Callable[[str], str | None],
    body: str,
    *,
    now_ms: int,
    model: str | None = None,
    secrets: list[str],
) -> ProxyError:
    """The error for an answer of Qwen's that cannot be passed on: any status but 2xx, or a 2xx without a
    completion.

    `header` looks up a header by its lower-case name. `secrets` are taken out of Qwen's words, as is all that
    looks like a credential. `model` is the model that was asked for. CredentialsRejected with the code
    `credentials_rejected` asks for a refresh.
    """
    data = _json(body)
    request_id = identifier(header("x-request-id") or header("x-dashscope-request-id"), secrets)
    retry_after = retry_after_seconds(header, now_ms)
    if data is None:
        return _without_json(status, body, request_id, retry_after)
    source = _error_object(data)
    is_success = 200 <= status < 300
    hidden = _hidden_error(data)
    if hidden is not None:
        data, source = hidden, _error_object(hidden)
    elif is_success and not (source.get("code") or source.get("message")):
        return UpstreamBlocked(
            "Qwen answered with something else than what was asked for.",
            upstream_status=status,
            upstream_request_id=request_id,
        )
    report = _report(data, source, status, request_id, retry_after, now_ms, secrets)
    return _classified(_with_status(report, source) if is_success else report, model)


def error_from_event(
    data: Any, *, http_status: int | None, now_ms: int, secrets: list[str]
) -> ProxyError | None:
    """The error in an event of a stream, or None if the event is a chunk like any other.

    `data` is the parsed JSON of the event's data, `http_status` what a comment `:HTTP_STATUS/429` before it
    says. Qwen hides errors in three ways: a chunk that ends with `error_finish` and has the error as content;
    a flat `{"request_id", "code", "message"}`; an `{"error": {...}}`.
    """
    if not isinstance(data, dict):
        return None
    hidden = _hidden_error(data)
    if hidden is not None:
        data = hidden
    elif not (data.get("error") or ("choices" not in data and (data.get("code") or data.get("message")))):
        return None
    source = _error_object(data)
    report = _report(data, source, http_status or 500, None, None, now_ms, secrets)
    return _classified(report if http_status else _with_status(report, source), None)


# --- reading


def _json(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, or in an array around it, as some hosts have it."""
    try:
        value = parse(text)
    except JsonTextError:
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else None


def _error_object(data: dict[str, Any]) -> dict[str, Any]:
    """The part of an error body that has code and message: `error`, `errors` (ModelScope), or the body
    itself.
    """
    for name in ("error", "errors"):
        inner = data.get(name)
        if isinstance(inner, dict):
            return inner
        if isinstance(inner, str) and inner:
            return {**data, "message": data.get("message") or data.get("error_description") or inner}
    if "message" not in data and isinstance(data.get("detail"), str):
        return {**data, "message": data["detail"]}
    return data


def _hidden_error(data: dict[str, Any]) -> dict[str, Any] | None:
    """The error in a chunk or a completion one of whose choices ends with `error_finish`: its text, which may
    be JSON.
    """
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict) or choice.get("finish_reason") != "error_finish":
            continue
        said = [choice.get(name) for name in ("delta", "message")]
        texts = [each["content"] for each in said if isinstance(each, dict) and each.get("content")]
        text = texts[0] if texts and isinstance(texts[0], str) else ""
        inner = _json(text)
        return {"request_id": data.get("request_id"), **(inner if inner is not None else {"message": text})}
    return None


def _report(
    data: dict[str, Any],
    source: dict[str, Any],
    status: int,
    request_id: str | None,
    retry_after: float | None,
    now_ms: int,
    secrets: list[str],
) -> _Report:
    message = _word(source.get("message"))
    code = _word(source.get("code")) or _word(source.get("type"))
    reset = reset_seconds(message, now_ms)
    own_id = identifier(data.get("request_id"), secrets) or identifier(source.get("request_id"), secrets)
    return _Report(
        status=status,
        code=redacted(code, secrets)[:_LONGEST_CODE],
        message=redacted(message, secrets)[:_LONGEST_MESSAGE],
        param=_param(source.get("param"), secrets),
        request_id=own_id or request_id,
        retry_after_seconds=reset if reset is not None else retry_after,
    )


def _param(value: Any, secrets: list[str]) -> str | None:
    """The field that an error names, if what is there looks like a field: `messages[2].content`."""
    if not isinstance(value, str) or not _field(value):
        return None
    return value if redacted(value, secrets) == value else None


_field = re.compile(r"[A-Za-z_$][\w.$\[\]-]{0,99}", re.ASCII).fullmatch


def _word(value: Any) -> str:
    """A text or a number as text; anything else as none."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e9 else ""


_STATUS_OF = (
    (429, ("throttling", "rate_limit", "limit_requests", "quota", "too many requests")),
    (401, ("invalid_api_key", "invalidapikey", "incorrect api key", "invalid access token")),
    (403, ("access_denied", "accessdenied", "access denied")),
    (404, ("model_not_found", "modelnotfound")),
    (400, ("invalid", "data_inspection", "datainspection", "arrearage", "badrequest", "bad_request")),
    (504, ("timeout", "timed out")),
)
"""Words by which an error without an HTTP status of its own is recognised, in this order."""


def _with_status(report: _Report, source: dict[str, Any]) -> _Report:
    """The report of an error in a 200 with the HTTP status that it would have had: 500 if that is unknown."""
    for name in ("status", "status_code", "http_status", "code"):
        digits = _word(source.get(name))
        if len(digits) == 3 and digits.isascii() and digits.isdigit() and "400" <= digits <= "599":
            return report._replace(status=int(digits))
    code = f"{_word(source.get('code'))} {_word(source.get('type'))}".strip()
    text = (code or _word(source.get("message"))).lower()
    status = next((status for status, words in _STATUS_OF if any(word in text for word in words)), 500)
    return report._replace(status=status, is_certain=bool(code))


# --- classifying


def _without_json(
    status: int, body: str, request_id: str | None, retry_after_seconds: float | None
) -> ProxyError:
    """An answer whose body is not a JSON object: from a gateway, a firewall, or a host that is no API."""
    about: dict[str, Any] = {"upstream_status": status, "upstream_request_id": request_id}
    if status == 429:
        return RateLimited(
            "Qwen limits the rate of requests.",
            retry_after_seconds=RATE_LIMIT_SECONDS if retry_after_seconds is None else retry_after_seconds,
            **about,
        )
    if status in (408, 504):
        return UpstreamTimeout(f"Qwen did not answer in time (HTTP {status}).", **about)
    if status >= 500:
        return UpstreamUnavailable(
            f"Qwen is not available at the moment (HTTP {status}).",
            retry_after_seconds=retry_after_seconds,
            **about,
        )
    if body.lstrip("\ufeff \t\r\n").startswith("<"):
        return UpstreamBlocked(
            f"Something in front of Qwen answered in its place with a web page (HTTP {status}): a firewall, "
            "a captcha, or QWEN_BASE_URL is not the address of an API.",
            **about,
        )
    if status in (401, 403):
        return _rejected("", about)
    if status == 413:
        return PayloadTooLarge("The request is larger than Qwen accepts.", **about)
    if 400 <= status < 500:
        return _refused("", about)
    if not body.strip():
        return UpstreamBlocked("Qwen answered with nothing.", code="upstream_error", **about)
    return UpstreamBlocked(f"Qwen's answer is not what its API sends (HTTP {status}).", **about)


def _classified(report: _Report, model: str | None) -> ProxyError:
    error = _error_of(report, model)
    error.is_certain = report.is_certain
    return error


def _error_of(report: _Report, model: str | None) -> ProxyError:
    about: dict[str, Any] = {"upstream_status": report.status, "upstream_request_id": report.request_id}
    limit = _limit_error(report, about)
    if limit is not None:
        return limit
    status, text = report.status, report.text
    if _is_about_model(report):
        return NotFound(
            f"The model{f' `{model}`' if model else ''} does not exist at Qwen, or this gateway's account "
            f"may not use it.{_qwen_says(report)}",
            code="model_not_found",
            param="model",
            scope="model",
            **about,
        )
    if status in (401, 403):
        return _rejected(_qwen_says(report), about)
    if status in (400, 422):
        return _invalid_request(report, about)
    if status == 413:
        return PayloadTooLarge(f"The request is larger than Qwen accepts.{_qwen_says(report)}", **about)
    if status in (408, 504) or (status >= 500 and "timeout" in text):
        return UpstreamTimeout(f"Qwen did not answer in time.{_qwen_says(report)}", **about)
    if status >= 500:
        return UpstreamUnavailable(
            f"Qwen had an internal error.{_qwen_says(report)}",
            retry_after_seconds=report.retry_after_seconds,
            **about,
        )
    if _refuses_this_client(text):
        return UpstreamUnavailable(
            "The plan of this gateway's account serves certain coding tools only, and does not count this "
            f"client among them (HTTP {status}). Use such a tool, or a pay-as-you-go key."
            f"{_qwen_says(report)}",
            code=CLIENT_NOT_ALLOWED,
            retryable=False,
            **about,
        )
    return _refused(_qwen_says(report), about)


def _refuses_this_client(text: str) -> bool:
    """A Coding Plan answers 405 "Coding Plan is currently only available for Coding Agents" to tools that it
    does not know by their User-Agent (apis-on-the-wire, section 1).
    """
    return "only available for coding agents" in text


def _limit_error(report: _Report, about: dict[str, Any]) -> ProxyError | None:
    """RateLimited or QuotaExhausted, if the error is about a limit of the account or of the model."""
    status, code, text = report.status, report.code.lower(), report.text
    wait = report.retry_after_seconds
    if "arrearage" in code or status == 402:
        return QuotaExhausted(f"This gateway's account at Qwen is not paid up.{_qwen_says(report)}", **about)
    if "freetieronly" in code:
        return QuotaExhausted(
            f"The free quota of this model is used up.{_qwen_says(report)}", scope="model", **about
        )
    if status != 429 and not (status == 403 and "quota" in code):
        return None
    if "free tier of the model" in text:
        return QuotaExhausted(
            f"The free quota of this model is used up.{_qwen_says(report)}", scope="model", **about
        )
    is_quota = "insufficient_quota" in text or "quota exceeded" in text or "quota has been exhausted" in text
    is_per_minute = status == 429 and (
        "#token-limit" in text or "exceeded your current quota" in text or "throttling" in text
    )
    is_plan = any(f"{period} allocated quota" in text for period in ("hour", "day", "week", "month"))
    if is_plan or status == 403 or (is_quota and not is_per_minute):
        return QuotaExhausted(
            f"The quota of this gateway's account at Qwen is used up.{_qwen_says(report)}",
            retry_after_seconds=wait,
            **about,
        )
    is_tokens = "#token-limit" in text or "allocat" in text or "token" in text
    default = TOKEN_LIMIT_SECONDS if is_tokens else RATE_LIMIT_SECONDS
    return RateLimited(
        f"Qwen limits the rate of requests.{_qwen_says(report)}",
        retry_after_seconds=default if wait is None else wait,
        scope="model" if "throttling" in text or "#token-limit" in text else "account",
        **about,
    )


def _is_about_model(report: _Report) -> bool:
    code, message = report.code.lower(), report.message.lower()
    if report.status not in (400, 403, 404):
        return False
    if "model_not_found" in code or "modelnotfound" in code or message.startswith("model not exist"):
        return True
    if report.status == 403:
        return "model.accessdenied" in code or "model access denied" in message
    return report.status == 404 and "model" in report.text


_input_range = re.compile(r"range of input length should be \[\d+, *(\d+)\]", re.IGNORECASE).search
_input_too_long = re.compile(
    r"context_length_exceeded|maximum context length|(?:prompt|input) is too long"
    r"|input (?:length|tokens?)\b.*\bexceed",
    re.IGNORECASE,
).search
_identifier = re.compile(r"[A-Za-z_][\w.]*", re.ASCII).fullmatch


def _invalid_request(report: _Report, about: dict[str, Any]) -> ProxyError:
    """A request that Qwen rejects, in words and codes that OpenAI's clients know."""
    text = report.text
    length = _input_range(report.message)
    if length is not None:
        return InvalidRequest(
            f"The conversation is too long: this model's maximum context length is {length.group(1)} tokens."
            f"{_qwen_says(report)}",
            code="context_length_exceeded",
            param="messages",
            **about,
        )
    if _input_too_long(text):
        return InvalidRequest(
            report.message or "The conversation is too long for this model.",
            code="context_length_exceeded",
            param="messages",
            **about,
        )
    if "data_inspection_failed" in text or "datainspectionfailed" in text:
        return InvalidRequest(
            f"Qwen's content filter rejected the request.{_qwen_says(report)}", code="content_filter", **about
        )
    return InvalidRequest(
        report.message or f"Qwen rejected the request (HTTP {report.status}).",
        code=report.code if _identifier(report.code) else None,
        param=report.param,
        **about,
    )


def _rejected(qwen_says: str, about: dict[str, Any]) -> ProxyError:
    return CredentialsRejected(
        f"Qwen does not accept this gateway's own credential (HTTP {about['upstream_status']}); "
        f"the key of the caller is not the reason.{qwen_says}",
        **about,
    )


def _refused(qwen_says: str, about: dict[str, Any]) -> ProxyError:
    """An answer that no correct request to a correct address gets; sending it again will not help."""
    return UpstreamUnavailable(
        f"Qwen refused the request as it was sent (HTTP {about['upstream_status']}); QWEN_BASE_URL may be "
        f"wrong.{qwen_says}",
        code="upstream_error",
        retryable=False,
        **about,
    )


def _qwen_says(report: _Report) -> str:
    return f" Qwen says: {report.message}" if report.message else ""
