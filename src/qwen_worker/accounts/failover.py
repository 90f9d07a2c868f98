"""One request, several accounts: where it goes, and where it goes next when an account cannot answer it.

An error of the account, or of a model there, moves the request on; the client's own mistake goes back to the
client at once. Everything here happens before the first byte reaches the client.

An account that fails gets a cooldown, so that the next requests go elsewhere. A rate limit or quota that a
status or a code shows leads to a cooldown at once. Any other failure may be the fault of the request (a
prompt that a firewall takes for an attack, or whose words an error quotes, a model that nobody has): it leads
to a cooldown only if another account answers the same request. If none does, other requests are not refused:
the next one asks all accounts again.
"""

from typing import NamedTuple

from qwen_worker.accounts.choice import Candidate, choose, due_first, is_ready
from qwen_worker.accounts.cooldown_record import CooldownRecord
from qwen_worker.accounts.cooldowns import (
    LIMITS,
    RULES,
    Cooldown,
    cooldown_after,
    error_for,
    reason_for,
)
from qwen_worker.accounts.pool import ServingAccount
from qwen_worker.errors import (
    CLIENT_NOT_ALLOWED,
    CredentialsMissing,
    CredentialsRejected,
    ProxyError,
    RefreshPending,
    UpstreamUnavailable,
)
from qwen_worker.platform.ports import FOREVER_MS
from qwen_worker.upstream.attempts import (
    ATTEMPTS,
    MAX_RETRY_WAIT_SECONDS,
    RETRY_BUDGET_SECONDS,
    Exchange,
    Opened,
    is_passing,
    open_on_account,
)

SUBREQUEST_BUDGET = 36
"""No further account is asked when so many subrequests may have been spent: the free plan allows 50."""

REFRESH_COST = 12
"""How many subrequests a login that fails may cost: looks into KV, attempts to refresh, writes."""

SHORT_PATIENCE_MS = 4_000
"""How long a request waits for a token that is being refreshed while another account is ready."""

JITTER_SECONDS = 0.25


class _Failure(NamedTuple):
    """An account has failed this request. `counts`: its cooldown has been recorded."""

    error: ProxyError
    reason: str
    counts: bool


class Failover:
    """One request on its way through the accounts.

    `serving` are those that have its model, with the name that it has there.
    """

    def __init__(self, exchange: Exchange, serving: list[ServingAccount], record: CooldownRecord) -> None:
        self._exchange = exchange
        self._runtime = exchange.runtime
        self._clock = exchange.runtime.clock
        self._log = exchange.log
        self._record = record
        self._memory = memory = record.memory
        self._accounts = {account.health_id: account for account, _ in serving}
        self._candidates = [
            Candidate(account.health_id, account.settings.priority, model, memory.health(account.health_id))
            for account, model in serving
        ]
        self._affinity_key = exchange.call.affinity_key()
        self._began_ms = self._clock.now_ms()
        self._tried: set[str] = set()
        self._failures: dict[str, _Failure] = {}
        self._rounds = 1
        self._subrequests = 0

    async def open(self) -> Opened:
        """The first usable answer. Raises ProxyError: what to tell the client."""
        await self._record.recall(self._runtime, self._log)
        is_answered = False
        try:
            opened = await self._open()
            is_answered = True
        finally:
            self._settle_failures(is_answered=is_answered)
            if self._record.is_due(self._clock.now_ms()):
                self._runtime.background.spawn(self._record.tell(self._runtime, self._log))
        return opened

    async def _open(self) -> Opened:
        while True:
            candidate = self._next()
            if candidate is not None:
                try:
                    return await self._ask(candidate)
                except ProxyError as error:
                    self._note(candidate, error)
                continue
            delay = self._delay_seconds()
            if delay is None:
                raise self._verdict()
            self._log.info("all accounts in cooldown", waiting_ms=int(delay * 1000))
            await self._clock.sleep(delay)
            self._rounds += 1
            self._tried.clear()

    def _next(self) -> Candidate | None:
        """The account to ask now; None if all are in a cooldown or the bounds are reached."""
        now_ms = self._clock.now_ms()
        if self._failures and self._is_bound_reached(now_ms):
            return None
        for candidate in self._candidates:
            if self._accounts[candidate.identity].has_renewed(now_ms):
                candidate.health.end_credentials_cooldown()
        return choose(
            self._candidates,
            self._memory,
            affinity_key=self._affinity_key,
            tried=self._tried,
            now_ms=now_ms,
        )

    async def _ask(self, candidate: Candidate) -> Opened:
        """One account's turn. Raises ProxyError."""
        account, health, model = self._accounts[candidate.identity], candidate.health, candidate.model
        now_ms = self._clock.now_ms()
        others = (other for other in self._candidates if other is not candidate)
        is_last = not any(is_ready(other, self._tried, now_ms) for other in others)
        self._subrequests += 2 if account.settings.kind == "oauth" else 1  # a look into KV, the call
        try:
            opened = await open_on_account(
                self._exchange,
                account.access(model),
                attempts=1,
                patience_ms=None if is_last else SHORT_PATIENCE_MS,
            )
        except ProxyError:
            raise
        except BaseException:
            health.release_probe(model)
            raise
        finally:
            self._memory.answered(self._affinity_key)
        health.record_success(model, self._clock.now_ms())
        self._failures.pop(candidate.identity, None)
        return opened

    def _note(self, candidate: Candidate, error: ProxyError) -> None:
        """Records an account's error. Raises it if it is the client's own mistake."""
        account, health, model = self._accounts[candidate.identity], candidate.health, candidate.model
        reason = reason_for(error)
        if reason is None:
            if error.upstream_status is None:
                health.release_probe(model)
            else:
                health.record_success(model, self._clock.now_ms())
            raise error
        self._tried.add(candidate.identity)
        if isinstance(error, CredentialsRejected | CredentialsMissing | RefreshPending):
            self._subrequests += REFRESH_COST
            account.note_refusal()
        counts = reason in LIMITS and error.is_certain
        self._failures[candidate.identity] = _Failure(error, reason, counts)
        if counts:
            self._record_failure(candidate, error)

    def _settle_failures(self, *, is_answered: bool) -> None:
        """Records the failures that did not count at once, if they are about their accounts for all clients:
        a plan that refuses one client for its User-Agent serves the next one.
        """
        for candidate in self._candidates:
            failure = self._failures.get(candidate.identity)
            if failure is None or failure.counts:
                continue
            if is_answered and failure.error.code != CLIENT_NOT_ALLOWED:
                self._record_failure(candidate, failure.error)
            else:
                candidate.health.release_probe(candidate.model)

    def _record_failure(self, candidate: Candidate, error: ProxyError) -> None:
        now_ms = self._clock.now_ms()
        cooldown = candidate.health.record_failure(error, candidate.model, now_ms)
        if cooldown is None:
            return
        self._record.note(cooldown, now_ms)
        self._log.warning(
            "account in cooldown",
            account=self._accounts[candidate.identity].label,
            reason=cooldown.reason,
            model=candidate.model if error.scope == "model" else None,
            upstream_status=error.upstream_status,
            seconds=(cooldown.until_ms - now_ms) / 1000,
        )

    def _is_bound_reached(self, now_ms: int) -> bool:
        is_late = now_ms - self._began_ms > RETRY_BUDGET_SECONDS * 1000
        return is_late or self._subrequests >= SUBREQUEST_BUDGET

    def _cooldown_of(self, candidate: Candidate, now_ms: int) -> Cooldown | None:
        """The cooldown that keeps this request from an account: the one it is in, or the one its error calls
        for.
        """
        failure = self._failures.get(candidate.identity)
        if failure is not None and not failure.counts and candidate.identity in self._tried:
            return cooldown_after(failure.error, None, now_ms)
        return candidate.health.cooldown_for(candidate.model, now_ms)

    def _delay_seconds(self) -> float | None:
        """How long to wait for an account that is due soon; None if there is none worth waiting for."""
        now_ms = self._clock.now_ms()
        if self._rounds >= ATTEMPTS or self._is_bound_reached(now_ms):
            return None
        free_ms = FOREVER_MS
        for candidate in self._candidates:
            cooldown = self._cooldown_of(candidate, now_ms)
            failure = self._failures.get(candidate.identity)
            may_pass = failure is None or is_passing(failure.error)
            if cooldown is not None and RULES[cooldown.reason].recovers and may_pass:
                free_ms = min(free_ms, cooldown.free_ms())
        delay = (free_ms - now_ms) / 1000 + JITTER_SECONDS * self._runtime.random()
        elapsed = (now_ms - self._began_ms) / 1000
        is_too_long = delay > MAX_RETRY_WAIT_SECONDS or elapsed + delay > RETRY_BUDGET_SECONDS
        return None if is_too_long else delay

    def _verdict(self) -> ProxyError:
        """The error for the client, that of the account that is due first."""
        now_ms = self._clock.now_ms()
        found = due_first(
            (candidate, cooldown)
            for candidate in self._candidates
            if (cooldown := self._cooldown_of(candidate, now_ms)) is not None
        )
        if found is None:  # the last cooldown has ended this very moment
            last = list(self._failures.values())[-1:]
            return last[0].error if last else UpstreamUnavailable("Try again now.", retry_after_seconds=1)
        candidate, cooldown = found
        failure = self._failures.get(candidate.identity)
        if failure is None or failure.reason != cooldown.reason:
            return error_for(cooldown, now_ms)
        if failure.error.retry_after_seconds is not None and cooldown.back_ms != FOREVER_MS:
            failure.error.retry_after_seconds = max(1.0, (cooldown.back_ms - now_ms) / 1000)
        return failure.error
