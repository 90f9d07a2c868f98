"""Which account a request goes to, and where it goes next when that one cannot answer it.

Everything here happens before the first byte reaches the client. An error of the account or of a model there
puts it to rest and moves the request on; the client's own mistake goes back to the client at once. With one
account there is nothing to choose: it does not rest, and failures in passing are tried again there.
"""

from typing import Generic, NamedTuple, TypeVar

from qwen_worker.accounts.choice import Candidate, choose, due_first, is_ready
from qwen_worker.accounts.conversation import conversation_key
from qwen_worker.accounts.pool import Account, AccountPool
from qwen_worker.accounts.record import is_worth_telling, recall_rests, tell_rests
from qwen_worker.accounts.rests import RULES, error_for, reason_for
from qwen_worker.credentials.model import FOREVER_MS
from qwen_worker.errors import (
    CredentialsMissing,
    CredentialsRejected,
    ProxyError,
    RefreshPending,
    UpstreamUnavailable,
)
from qwen_worker.upstream.client import (
    MAX_RETRY_WAIT_SECONDS,
    RETRY_BUDGET_SECONDS,
    Exchange,
    Inspect,
    is_passing,
    open_on_account,
)

T = TypeVar("T")

SUBREQUEST_BUDGET = 36
"""No further account is asked when so many subrequests may have been spent: the free plan allows 50."""

REFRESH_COST = 12
"""How many subrequests a login that fails may cost: looks into KV, attempts to refresh, writes."""

SHORT_PATIENCE_MS = 4_000
"""How long a token that is being refreshed is waited for while another account is ready."""

JITTER_SECONDS = 0.25


class Opened(NamedTuple, Generic[T]):
    """What `inspect` has made of the answer, and the label of the account that gave it."""

    result: T
    account: str


async def open_completion(exchange: Exchange, pool: AccountPool, inspect: Inspect[T]) -> Opened[T]:
    """Sends the request to Qwen until it is answered or the bounds are reached.

    `inspect` looks at a 2xx answer whose body has not been read; a ProxyError that it raises counts as Qwen's
    answer. Raises ProxyError: what the client should be told.
    """
    candidates = pool.candidates(exchange.chat.model)
    if len(pool.accounts) == 1:
        account = pool.accounts[0]
        result = await open_on_account(
            exchange, account, inspect, attempts=exchange.settings.upstream_attempts
        )
        return Opened(result, account.label)
    await recall_rests(pool.memory, exchange.runtime, exchange.log)
    failover = _Failover(exchange, pool, candidates)
    try:
        return await failover.open(inspect)
    finally:
        failover.tell_news()


class _Failover:
    """One request on its way through the accounts."""

    def __init__(self, exchange: Exchange, pool: AccountPool, candidates: list[Candidate]) -> None:
        self._exchange = exchange
        self._pool = pool
        self._clock = exchange.runtime.clock
        self._candidates = candidates
        self._conversation = conversation_key(exchange.chat)
        self._began_ms = self._clock.now_ms()
        self._tried: set[str] = set()
        self._errors: dict[str, ProxyError] = {}
        self._rounds = 1
        self._subrequests = 0
        self._has_news = False

    async def open(self, inspect: Inspect[T]) -> Opened[T]:
        """Raises ProxyError."""
        while True:
            candidate = self._next()
            if candidate is not None:
                account = self._pool.account(candidate)
                try:
                    return Opened(await self._ask(candidate, account, inspect), account.label)
                except ProxyError as error:
                    self._note(candidate, account, error)
                continue
            delay = self._delay_seconds()
            if delay is None:
                raise self._verdict()
            self._exchange.log.info("all accounts rest", waiting_ms=int(delay * 1000))
            await self._clock.sleep(delay)
            self._rounds += 1
            self._tried.clear()

    def tell_news(self) -> None:
        """Lets other isolates know, in the background, of a long rest that this request has led to."""
        if self._has_news:
            runtime, log = self._exchange.runtime, self._exchange.log
            runtime.background.spawn(tell_rests(self._pool.memory, runtime, log))

    def _next(self) -> Candidate | None:
        """The account to ask now; None if all rest or the bounds are reached."""
        now_ms = self._clock.now_ms()
        if self._errors and self._is_bound_reached(now_ms):
            return None
        for candidate in self._candidates:
            self._pool.account(candidate).end_rest_if_renewed(now_ms)
        return choose(
            self._candidates,
            self._pool.memory,
            conversation=self._conversation,
            tried=self._tried,
            now_ms=now_ms,
        )

    async def _ask(self, candidate: Candidate, account: Account, inspect: Inspect[T]) -> T:
        """One account's turn. Raises ProxyError."""
        standing, model = candidate.standing, candidate.model
        now_ms = self._clock.now_ms()
        others = (other for other in self._candidates if other is not candidate)
        is_last = not any(is_ready(other, self._tried, now_ms) for other in others)
        self._subrequests += 1
        try:
            result = await open_on_account(
                self._exchange,
                account,
                inspect,
                attempts=1,
                patience_ms=None if is_last else SHORT_PATIENCE_MS,
            )
        except ProxyError:
            raise
        except BaseException:
            standing.undecided(model)
            raise
        finally:
            self._pool.memory.answered(self._conversation)
        standing.works(model, self._clock.now_ms())
        return result

    def _note(self, candidate: Candidate, account: Account, error: ProxyError) -> None:
        """Draws the consequences of an error. Raises it if it is the client's own mistake."""
        standing, model = candidate.standing, candidate.model
        now_ms = self._clock.now_ms()
        if reason_for(error) is None:
            if error.upstream_status is None:
                standing.undecided(model)
            else:
                standing.works(model, now_ms)
            raise error
        self._tried.add(candidate.identity)
        self._errors[candidate.identity] = error
        if isinstance(error, CredentialsRejected | CredentialsMissing | RefreshPending):
            self._subrequests += REFRESH_COST
            account.note_refusal()
        rest = standing.fails(error, model, now_ms)
        if rest is None:
            return
        self._has_news = self._has_news or is_worth_telling(rest, now_ms)
        self._exchange.log.warning(
            "account rests",
            account=account.label,
            reason=rest.reason,
            model=model if error.scope == "model" else None,
            upstream_status=error.upstream_status,
            seconds=(rest.until_ms - now_ms) / 1000,
        )

    def _is_bound_reached(self, now_ms: int) -> bool:
        is_late = now_ms - self._began_ms > RETRY_BUDGET_SECONDS * 1000
        return is_late or self._subrequests >= SUBREQUEST_BUDGET

    def _delay_seconds(self) -> float | None:
        """How long to wait for an account that is due soon; None if there is none worth waiting for."""
        now_ms = self._clock.now_ms()
        if self._rounds >= self._exchange.settings.upstream_attempts or self._is_bound_reached(now_ms):
            return None
        free_ms = FOREVER_MS
        for candidate in self._candidates:
            rest = candidate.standing.rest_for(candidate.model, now_ms)
            error = self._errors.get(candidate.identity)
            if rest is not None and RULES[rest.reason].recovers and (error is None or is_passing(error)):
                free_ms = min(free_ms, rest.free_ms())
        delay = (free_ms - now_ms) / 1000 + JITTER_SECONDS * self._exchange.runtime.random()
        elapsed = (now_ms - self._began_ms) / 1000
        is_too_long = delay > MAX_RETRY_WAIT_SECONDS or elapsed + delay > RETRY_BUDGET_SECONDS
        return None if is_too_long else delay

    def _verdict(self) -> ProxyError:
        """What the client is told: the account that is due first decides."""
        now_ms = self._clock.now_ms()
        found = due_first(self._candidates, now_ms)
        if found is None:  # the last rest has ended this very moment
            last = list(self._errors.values())[-1:]
            return last[0] if last else UpstreamUnavailable("Try again now.", retry_after_seconds=1)
        candidate, rest = found
        error = self._errors.get(candidate.identity)
        if error is None or reason_for(error) != rest.reason:
            return error_for(rest, now_ms)
        if error.retry_after_seconds is not None and rest.back_ms != FOREVER_MS:
            error.retry_after_seconds = max(1.0, (rest.back_ms - now_ms) / 1000)
        return error
