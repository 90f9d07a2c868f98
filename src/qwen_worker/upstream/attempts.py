"""From a checked request to an answer of Qwen, with one account: credential, body, attempts, classification.

Everything that may be tried again is tried here, before the first byte reaches the client.
"""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from qwen_worker.accounts.pool import Account
from qwen_worker.api.chat.request import ChatRequest
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.credential import Credential
from qwen_worker.errors import (
    CredentialsRejected,
    ProxyError,
    RateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from qwen_worker.log import Log
from qwen_worker.platform.ports import FetchError, FetchTimeout, InboundResponse, OutboundRequest, Runtime
from qwen_worker.upstream.call import target_for
from qwen_worker.upstream.headers import upstream_headers
from qwen_worker.upstream.rules.prepare import prepare_chat

T = TypeVar("T")

Inspect = Callable[[InboundResponse, Log], Coroutine[Any, Any, T]]
"""Looks at a 2xx answer whose body has not been read, with a log for this account. Raises ProxyError."""

MAX_RETRY_WAIT_SECONDS = 5.0
"""A longer Retry-After is the client's to wait for, not ours."""

RETRY_BUDGET_SECONDS = 30.0
"""No attempt starts later than this after the first one."""

BACKOFF_BASE_SECONDS = 0.25

MAX_CREDENTIAL_REPLACEMENTS = 2
"""One for a token that another isolate has refreshed meanwhile, one for our own refresh."""

RETRIED_UPSTREAM_STATUSES = (502, 503, 504)


class Exchange(NamedTuple):
    """What stays the same over all attempts and all accounts of one request."""

    chat: ChatRequest
    request_id: str
    settings: Settings
    runtime: Runtime
    log: Log


async def open_on_account(
    exchange: Exchange,
    account: Account,
    inspect: Inspect[T],
    *,
    attempts: int,
    patience_ms: int | None = None,
) -> T:
    """Sends the request until it is answered or the bounds are reached; returns what `inspect` makes of it.

    Raises ProxyError: the last failure, classified. A refused OAuth token is replaced and the request
    repeated; connection failures, 502, 503, 504 and short rate limits are repeated with jittered backoff,
    `attempts` times in all; a client's mistake never is. `patience_ms` bounds how long a token is waited for.
    """
    runtime, source = exchange.runtime, account.source
    log = exchange.log.bound(account=account.label)
    started_ms = runtime.clock.now_ms()
    attempt = 1
    replacements = 0
    try:
        credential = await source.acquire(runtime, log, patience_ms=patience_ms)
        while True:
            try:
                return await _attempt(exchange, credential, inspect, attempt, log)
            except CredentialsRejected as error:
                if replacements == MAX_CREDENTIAL_REPLACEMENTS:
                    raise
                replacements += 1
                log.info("credential refused", status=error.upstream_status, kind=credential.kind)
                credential = await source.replace(credential, runtime, log, patience_ms=patience_ms)
            except ProxyError as error:
                elapsed_seconds = (runtime.clock.now_ms() - started_ms) / 1000
                delay = retry_delay_seconds(error, attempt, attempts, elapsed_seconds, runtime.random())
                if delay is None:
                    raise
                log.info("retrying", code=error.code, attempt=attempt, delay_ms=int(delay * 1000))
                await runtime.clock.sleep(delay)
                attempt += 1
    except ProxyError as error:
        error.account = account.label
        raise


def retry_delay_seconds(
    error: ProxyError, attempt: int, attempts: int, elapsed_seconds: float, random: float
) -> float | None:
    """How long to wait before attempt number `attempt + 1` of `attempts`; None if there must not be one.

    `random` is uniform in [0, 1): the wait is jittered, so that many clients do not come back as one.
    """
    if attempt >= attempts or not is_passing(error):
        return None
    backoff = BACKOFF_BASE_SECONDS * 2.0 ** (attempt - 1) * (0.5 + random)
    delay = max(backoff, error.retry_after_seconds or 0.0)
    if delay > MAX_RETRY_WAIT_SECONDS or elapsed_seconds + delay > RETRY_BUDGET_SECONDS:
        return None
    return delay


def is_passing(error: ProxyError) -> bool:
    """Whether a fault may be gone in a moment: a failed connection, a gateway's answer, a short limit."""
    if isinstance(error, RateLimited):
        return error.retry_after_seconds is not None
    if error.upstream_status is None:
        return isinstance(error, UpstreamUnavailable)
    return error.upstream_status in RETRIED_UPSTREAM_STATUSES


async def _attempt(
    exchange: Exchange, credential: Credential, inspect: Inspect[T], attempt: int, log: Log
) -> T:
    """One request to Qwen. Raises ProxyError for any answer that is not a usable 2xx."""
    chat, settings, runtime = exchange.chat, exchange.settings, exchange.runtime
    target = target_for(credential, settings)
    prepared = prepare_chat(chat.body, chat.model, target)
    outbound = OutboundRequest(
        "POST",
        f"{credential.base_url}/chat/completions",
        upstream_headers(credential, request_id=exchange.request_id),
        prepared.body,
    )
    if log.is_debug:
        log.debug(
            "upstream request",
            base_url=credential.base_url,
            model=prepared.model,
            stream=chat.stream,
            attempt=attempt,
        )
    timeout_ms = int(settings.upstream_timeout_seconds * 1000)
    sent_ms = runtime.clock.now_ms()
    try:
        response = await runtime.fetcher.fetch(outbound, timeout_ms=timeout_ms, is_stream=chat.stream)
        if log.is_debug:
            duration_ms = runtime.clock.now_ms() - sent_ms
            log.debug("upstream response", status=response.status, duration_ms=duration_ms)
        if _is_usable(response, stream=chat.stream):
            return await inspect(response, log)
        body = await response.text()
    except FetchTimeout:
        raise UpstreamTimeout("Qwen did not answer in time.") from None
    except FetchError:
        raise UpstreamUnavailable("The connection to Qwen failed.") from None
    from qwen_worker.upstream.errors import error_from_response

    raise error_from_response(
        response.status,
        response.header,
        body,
        now_ms=runtime.clock.now_ms(),
        model=prepared.model,
        secret=credential.secret,
    )


def _is_usable(response: InboundResponse, *, stream: bool) -> bool:
    """Whether a 2xx answer is of the kind asked for; what is not is read and classified as an error.

    A firewall or captcha answers HTML with status 200 (qwen-protocol: WAF). For a stream only HTML and JSON
    are refused here: the relay looks at the first event of everything else.
    """
    if not 200 <= response.status < 300:
        return False
    content_type = (response.header("content-type") or "").lower()
    if stream:
        return "html" not in content_type and "json" not in content_type
    return "json" in content_type and response.header("content-length") != "0"
