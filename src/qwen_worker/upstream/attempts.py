"""From a call to an answer of Qwen, with one account: credential, body, attempts, classification.

Everything that may be tried again is tried here, before the first byte reaches the client.
"""

from typing import TYPE_CHECKING, NamedTuple

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
from qwen_worker.upstream.call import Call, Prepared, Target, Ways
from qwen_worker.upstream.connection import Connection
from qwen_worker.upstream.error_reader import ErrorReader
from qwen_worker.upstream.first_event import StreamStart, read_first_event
from qwen_worker.upstream.headers import upstream_headers
from qwen_worker.upstream.hosts import family_of

if TYPE_CHECKING:
    from qwen_worker.credentials.source import CredentialSource
    from qwen_worker.upstream.whole_answer import WholeAnswer

ATTEMPTS = 3
"""How often a request is sent to one account at most when it fails temporarily."""

MAX_RETRY_WAIT_SECONDS = 5.0
"""With a longer Retry-After the gateway does not wait: the client gets the error and waits."""

RETRY_BUDGET_SECONDS = 30.0
"""No attempt starts later than this after the first one."""

BACKOFF_BASE_SECONDS = 0.25

MAX_CREDENTIAL_REPLACEMENTS = 2
"""One for a token that another isolate has refreshed meanwhile, one for our own refresh."""

RETRIED_UPSTREAM_STATUSES = (502, 503, 504)


class Sent(NamedTuple):
    """What was sent to an account."""

    account: str
    """The account's label."""
    model: str
    """The name that the model has there."""
    body: bytes


class Exchange:
    """One call on its way to Qwen: what stays the same over all attempts and accounts.

    `user_agent` is the client's own. `timeout_seconds` bounds each answer.
    """

    __slots__ = (
        "_prepared",
        "call",
        "connection",
        "errors",
        "log",
        "request_id",
        "runtime",
        "sent",
        "timeout_seconds",
        "user_agent",
    )

    def __init__(
        self,
        call: Call,
        *,
        request_id: str,
        user_agent: str | None,
        timeout_seconds: float,
        errors: ErrorReader,
        runtime: Runtime,
        log: Log,
    ) -> None:
        self.call = call
        self.request_id = request_id
        self.user_agent = user_agent
        self.timeout_seconds = timeout_seconds
        self.errors = errors
        self.runtime = runtime
        self.log = log
        self.connection = Connection(runtime.clock)
        self.sent: Sent | None = None
        """What the account was sent that has answered."""
        self._prepared: dict[Target, Prepared] = {}

    def prepared_for(self, target: Target) -> Prepared:
        """The request for a target, made once for each. Raises InvalidRequest."""
        prepared = self._prepared.get(target)
        if prepared is None:
            prepared = self._prepared[target] = self.call.prepare(target)
        return prepared

    def forget_request(self) -> None:
        """Frees the memory of the request, which is not sent again while a stream lasts; `sent` has to be
        taken away too.
        """
        self._prepared.clear()
        del self.call


class Opened(NamedTuple):
    """An answer of Qwen's that can be passed on."""

    account: str
    """The label of the account that gave it."""
    prepared: Prepared
    """What was sent, without its body."""
    answer: InboundResponse
    content: "StreamStart | WholeAnswer"
    """A StreamStart if the call asks for a stream."""


class AccountAccess(NamedTuple):
    """What is needed to call one account for a model: `model` is the name that it has there."""

    label: str
    source: "CredentialSource"
    model: str
    ways: Ways


async def open_on_account(
    exchange: Exchange, account: AccountAccess, *, attempts: int, patience_ms: int | None = None
) -> Opened:
    """Sends the request until it is answered or the bounds are reached.

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
                opened = await _attempt(exchange, account, credential, attempt, log)
                source.note_accepted()
                return opened
            except CredentialsRejected as refusal:
                if replacements == MAX_CREDENTIAL_REPLACEMENTS:
                    raise
                replacements += 1
                log.info("credential refused", status=refusal.upstream_status, kind=credential.kind)
                try:
                    credential = await source.replace(credential, runtime, log, patience_ms=patience_ms)
                except CredentialsRejected as verdict:
                    raise _explained(verdict, refusal) from None
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

    `random` is uniform in [0, 1): the wait is random, so that many clients do not come back at the same
    moment.
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


def _explained(verdict: CredentialsRejected, refusal: CredentialsRejected) -> CredentialsRejected:
    """Why there is no other credential, together with what Qwen said of the refused one."""
    return CredentialsRejected(
        f"{verdict.message} {refusal.message}",
        code=verdict.code,
        upstream_status=refusal.upstream_status,
        upstream_request_id=refusal.upstream_request_id,
    )


async def _attempt(
    exchange: Exchange, account: AccountAccess, credential: Credential, attempt: int, log: Log
) -> Opened:
    """One request to Qwen. Raises ProxyError for any answer that is not worth passing on."""
    clock, errors = exchange.runtime.clock, exchange.errors
    target = Target(credential.kind, family_of(credential), credential.base_url, account.model, account.ways)
    prepared = exchange.prepared_for(target)
    errors.add_secret(credential.secret)
    outbound = OutboundRequest(
        "POST",
        prepared.url,
        {
            **upstream_headers(
                credential, request_id=exchange.request_id, client_user_agent=exchange.user_agent
            ),
            **prepared.headers,
        },
        prepared.body,
    )
    is_stream = exchange.call.stream
    if log.is_debug:
        log.debug(
            "upstream request",
            base_url=credential.base_url,
            model=account.model,
            stream=is_stream,
            attempt=attempt,
        )
    sent_ms = clock.now_ms()
    try:
        answer = await exchange.runtime.fetcher.fetch(
            outbound, timeout_ms=int(exchange.timeout_seconds * 1000)
        )
        if log.is_debug:
            log.debug("upstream response", status=answer.status, duration_ms=clock.now_ms() - sent_ms)
        if is_stream and _may_be_stream(answer):
            answer.end_timeout()  # from here on the idle time-out bounds it
            exchange.connection.opened(answer)
            start = await read_first_event(answer, prepared.dialect, exchange.connection, errors)
            return _opened(exchange, account, prepared, answer, start)
        if not is_stream and 200 <= answer.status < 300:
            whole = await _whole(answer, prepared, errors)
            return _opened(exchange, account, prepared, answer, whole)
        try:
            body = await answer.text()
        finally:
            answer.end_timeout()
    except FetchTimeout:
        raise UpstreamTimeout("Qwen did not answer in time.") from None
    except FetchError:
        raise UpstreamUnavailable("The connection to Qwen failed.") from None
    raise errors.of_response(answer.status, answer.header, body, model=account.model)


def _opened(
    exchange: Exchange,
    account: AccountAccess,
    prepared: Prepared,
    answer: InboundResponse,
    content: "StreamStart | WholeAnswer",
) -> Opened:
    exchange.sent = Sent(account.label, account.model, prepared.body)
    return Opened(account.label, prepared._replace(body=b""), answer, content)


async def _whole(answer: InboundResponse, prepared: Prepared, errors: ErrorReader) -> "WholeAnswer":
    """A whole answer. The time-out goes on for what is left of one that is too long to be read first.

    Raises ProxyError, FetchError, FetchTimeout.
    """
    from qwen_worker.upstream.whole_answer import read_whole_answer

    whole = None
    try:
        whole = await read_whole_answer(answer, prepared, errors)
    finally:
        if whole is None or whole.rest is None:
            answer.end_timeout()
    return whole


def _may_be_stream(answer: InboundResponse) -> bool:
    """Whether an answer may be a stream; what is none is read and classified as an error.

    A firewall or captcha answers HTML with status 200 (qwen-protocol: WAF). Of everything but HTML and JSON
    the first event is looked at.
    """
    if not 200 <= answer.status < 300:
        return False
    content_type = (answer.header("content-type") or "").lower()
    return "html" not in content_type and "json" not in content_type
