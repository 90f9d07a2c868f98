"""POST /v1/chat/completions."""

import json
from typing import TypeVar

from qwen_worker.api.chat.request import parse_chat_request
from qwen_worker.api.context import Answer, Context
from qwen_worker.errors import InvalidRequest, PayloadTooLarge, UpstreamTimeout, UpstreamUnavailable
from qwen_worker.log import Log
from qwen_worker.platform.ports import (
    BodyTooLarge,
    BodyUnreadable,
    FetchError,
    FetchTimeout,
    InboundResponse,
    Response,
)
from qwen_worker.streams.relay import StreamedCompletion
from qwen_worker.upstream.attempts import Exchange, Inspect
from qwen_worker.upstream.failover import open_completion

T = TypeVar("T")

PASSED_HEADERS = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
UPSTREAM_REQUEST_ID_HEADERS = ("x-request-id", "x-dashscope-request-id", "request_id")

LARGEST_ANSWER_BYTES = 100_000_000
"""Larger than any answer; only at debug level is an answer read at all, to log its usage."""


async def chat_completions(context: Context) -> Answer:
    """Checks the body, sends it to Qwen, passes the answer on: natively, without looking into it."""
    chat = parse_chat_request(await _read_body(context))
    log, settings, runtime = context.log, context.settings, context.runtime
    log.debug("new chat completion request", stream=chat.stream, model=chat.model)
    exchange = Exchange(chat, context.request_id, settings, runtime, log)
    if chat.stream:
        return _streamed(exchange, context)
    answer, account = await open_completion(exchange, context.pool, _unread)
    headers = {**_passed_headers(answer), "x-qwen-account": account}
    if log.is_debug:
        return Response(answer.status, headers, await _text_with_usage_logged(answer, context))
    return Response(answer.status, headers, answer.stream())


def _streamed(exchange: Exchange, context: Context) -> StreamedCompletion:
    chat, settings, pool = exchange.chat, context.settings, context.pool

    async def open_upstream(inspect: "Inspect[T]") -> "tuple[T, dict[str, str]]":
        start, account = await open_completion(exchange, pool, inspect)
        return start, {"x-qwen-account": account}

    return StreamedCompletion(
        open_upstream,
        include_usage=chat.include_usage,
        model=chat.model or settings.default_model,
        settings=settings,
        runtime=context.runtime,
        log=context.log,
    )


async def _unread(answer: InboundResponse, _: Log) -> InboundResponse:
    """A whole answer is passed on without a look into it."""
    return answer


async def _read_body(context: Context) -> bytes:
    limit_bytes = context.settings.body_limit_bytes
    try:
        return await context.request.body(limit_bytes)
    except BodyTooLarge:
        raise PayloadTooLarge(f"The request body is larger than {limit_bytes} bytes.") from None
    except BodyUnreadable:
        raise InvalidRequest("The request body could not be read to its end.", code="invalid_body") from None


def _passed_headers(answer: InboundResponse) -> dict[str, str]:
    headers = {"content-type": answer.header("content-type") or "application/json"}
    for name in UPSTREAM_REQUEST_ID_HEADERS:
        value = answer.header(name)
        if value is not None:
            headers["x-upstream-request-id"] = value
            break
    for name in PASSED_HEADERS:
        value = answer.header(name)
        if value is not None:
            headers[name] = value
    return headers


async def _text_with_usage_logged(answer: InboundResponse, context: Context) -> str:
    try:
        text = await answer.text(LARGEST_ANSWER_BYTES)
    except FetchTimeout:
        raise UpstreamTimeout("Qwen did not finish its answer in time.") from None
    except FetchError:
        raise UpstreamUnavailable("The connection to Qwen broke in the middle of its answer.") from None
    try:
        usage = json.loads(text).get("usage")
    except (ValueError, AttributeError):
        usage = None
    context.log.debug("usage", usage=usage)
    return text
