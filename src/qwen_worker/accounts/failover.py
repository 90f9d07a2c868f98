"""One request, several accounts: where it goes, and where it goes next when an account cannot answer it.

An error of the account or of a model there puts it to rest and moves the request on; the client's own mistake
goes back to the client at once.
"""

from typing import TypeVar

from qwen_worker.accounts.choice import Candidate, choose, due_first, is_ready
from qwen_worker.accounts.cooldown_record import is_worth_telling, recall_cooldowns, tell_cooldowns
from qwen_worker.accounts.cooldowns import RULES, error_for, reason_for
from qwen_worker.accounts.health import WHOLE_ACCOUNT, AccountsMemory
from qwen_worker.accounts.pool import Account
from qwen_worker.api.chat.affinity import conversation_key
from qwen_worker.errors import (
    CredentialsMissing,
    CredentialsRejected,
    ProxyError,
    RefreshPending,
    UpstreamUnavailable,
)
from qwen_worker.platform.ports import FOREVER_MS
from qwen_worker.upstream.attempts import (
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


class SeveralAccounts:
    """One request on its way through the accounts.

    `serving` are those that have its model, with the name that it has there.
    """

    def __init__(
        self, exchange: Exchange, serving: list[tuple[Account, str]], memory: AccountsMemory
    ) -> None:
        self.label = ""
        """The account that was asked last."""
        self._exchange = exchange
        self._memory = memory
        self._clock = exchange.runtime.clock
        self._accounts = {account.settings.identity: account for account, _ in serving}
        self._candidates = [_candidate(account, model, memory) for account, model in serving]
        self._conversation = conversation_key(exchange.chat.body)
        self._began_ms = self._clock.now_ms()
        self._tried: set[str] = set()
        self._errors: dict[str, ProxyError] = {}
        self._rounds = 1
        self._subrequests = 0
        self._has_news = False

    async def open(self, inspect: Inspect[T]) -> T:
        """What `inspect` makes of the first usable answer. Raises ProxyError: what to tell the client."""
        await recall_cooldowns(self._memory, self._exchange.runtime, self._exchange.log)
        try:
            return await self._open(inspect)
        finally:
            self._tell_news()

    async def _open(self, inspect: Inspect[T]) -> T:
        while True:
            candidate = self._next()
            if candidate is not None:
                account = self._accounts[candidate.identity]
                self.label = account.label
                try:
                    return await self._ask(candidate, account, inspect)
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

    def _tell_news(self) -> None:
        """Lets other isolates know, in the background, of a long rest that this request has led to."""
        if self._has_news:
            runtime, log = self._exchange.runtime, self._exchange.log
            runtime.background.spawn(tell_cooldowns(self._memory, runtime, log))

    def _next(self) -> Candidate | None:
        """The account to ask now; None if all rest or the bounds are reached."""
        now_ms = self._clock.now_ms()
        if self._errors and self._is_bound_reached(now_ms):
            return None
        for candidate in self._candidates:
            self._end_cooldown_if_renewed(candidate, now_ms)
        return choose(
            self._candidates,
            self._memory,
            conversation=self._conversation,
            tried=self._tried,
            now_ms=now_ms,
        )

    def _end_cooldown_if_renewed(self, candidate: Candidate, now_ms: int) -> None:
        """A dead login that has come back to life need not rest."""
        rests = candidate.standing.rests
        rest = rests.get(WHOLE_ACCOUNT)
        if rest is None or rest.reason != "credentials":
            return
        if self._accounts[candidate.identity].has_renewed(now_ms):
            del rests[WHOLE_ACCOUNT]

    async def _ask(self, candidate: Candidate, account: Account, inspect: Inspect[T]) -> T:
        """One account's turn. Raises ProxyError."""
        standing, model = candidate.standing, candidate.model
        now_ms = self._clock.now_ms()
        others = (other for other in self._candidates if other is not candidate)
        is_last = not any(is_ready(other, self._tried, now_ms) for other in others)
        self._subrequests += 2 if account.settings.kind == "oauth" else 1  # a look into KV, the call
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
            self._memory.answered(self._conversation)
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
            rest = candidate.standing.cooldown_for(candidate.model, now_ms)
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


def _candidate(account: Account, model: str, memory: AccountsMemory) -> Candidate:
    identity = account.settings.identity
    return Candidate(identity, account.settings.priority, model, memory.standing(identity))
