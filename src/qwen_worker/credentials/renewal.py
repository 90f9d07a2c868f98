"""The job that gets an account a good token: another isolate's out of KV, or one for the refresh token.

It looks into KV first, because another isolate may have refreshed already. A refusal by the token endpoint is
not believed at once either: the token may have been spent by an isolate whose record this place cannot see
yet. So it follows the trail of successors, and calls a login rejected only when KV has had the time to show
another one.
"""

from collections.abc import Coroutine
from typing import Any, Literal, NamedTuple

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials import oauth
from qwen_worker.credentials.state import LastRefresh, Refusal
from qwen_worker.credentials.store import REJECTION_LIFETIME_SECONDS, CorruptRecord
from qwen_worker.credentials.token_memory import TokenMemory
from qwen_worker.fingerprint import fingerprint
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime, StoreError

LEASE_MS = oauth.TOKEN_TIMEOUT_MS + 3_000
"""A job that has shown no progress for so long has died with its request."""

MAX_STEPS = 12
"""How far a job follows the trail of other isolates' refreshes at most."""

REFRESH_ATTEMPTS = 3
REFRESH_BUDGET_MS = 10_000
"""No further attempt of a job starts later than this; background work has some 30 s in all."""
MAX_FAULT_PAUSE_SECONDS = 60.0

UNREADABLE_DELAYS_SECONDS = (0.5, 1.0, 2.0)
"""Pauses before the configured refresh token, most likely long spent, is sent because KV cannot be read."""

SETTLE_SECONDS = 2.0
"""After a refusal: time for the isolate that has won the race to write what it got."""
CONFIRM_MS = 75_000
"""A refusal is final when KV, stale for up to 60 s, has not shown another login for so long."""
PENDING_RETRY_MS = 4_000
PROBE_MS = REJECTION_LIFETIME_SECONDS * 1000

FRESH_MS = 60_000
"""A token refused by the API within this time of its issue was not refused for its age."""
FIRST_DISCONTINUED_PAUSE_MS = 5_000
MAX_DISCONTINUED_PAUSE_MS = 600_000


class Need(NamedTuple):
    """What a job is to achieve: a token that is not due.

    `until`: not due for a request, or not due before the next cron trigger either; "looked": one look into KV
    is all. `unwanted` is an access token that the API has refused.
    """

    until: Literal["not due", "not due soon", "looked"] = "not due"
    unwanted: str | None = None


class Renewal:
    """The jobs of one account. `oauth_base_url` is the host of the token endpoint."""

    def __init__(self, memory: TokenMemory, oauth_base_url: str) -> None:
        self._memory = memory
        self._state = memory.state
        self._oauth_base_url = oauth_base_url

    def start(self, need: Need, runtime: Runtime, log: Log) -> None:
        """Starts a job in the background. The state tells when it has ended, and what came of it."""
        runtime.background.spawn(self.run(need, runtime, log))

    def run(self, need: Need, runtime: Runtime, log: Log) -> Coroutine[Any, Any, None]:
        """A job that holds the lease from now on; to be awaited or spawned."""
        state = self._state
        state.job += 1
        state.job_unwanted = need.unwanted
        state.job_until_ms = runtime.clock.now_ms() + LEASE_MS
        return self._run(state.job, need, runtime, log)

    async def _run(self, number: int, need: Need, runtime: Runtime, log: Log) -> None:
        """Never raises."""
        state = self._state
        try:
            await self._renew(number, need, runtime, log)
        except Exception as error:
            log.error("credentials job failed", exception=type(error).__name__)
            state.retry_at_ms = runtime.clock.now_ms() + PENDING_RETRY_MS
        finally:
            if state.job == number:
                state.job_until_ms = 0
                self._memory.schedule(runtime.clock.now_ms())
        await self._memory.save_with_patience(runtime, log)

    async def _renew(self, number: int, need: Need, runtime: Runtime, log: Log) -> None:
        state, memory, clock = self._state, self._memory, runtime.clock
        unsaved = state.unsaved
        if unsaved is not None and unsaved.token != state.token:
            memory.adopt(unsaved.token, "memory", runtime, log)  # its job has died before it could
        if need.until == "looked":
            await memory.look(runtime, log)
            return
        soon = need.until == "not due soon"
        if memory.is_settled(clock.now_ms(), unwanted=need.unwanted, soon=soon):
            return
        await memory.look(runtime, log)
        for _ in range(MAX_STEPS):
            token = state.token
            if state.job != number or token is None or token.refresh_token is None:
                return
            if memory.is_settled(clock.now_ms(), unwanted=need.unwanted, soon=soon):
                return
            if not await self._advance(token, need, runtime, log):
                return

    async def _advance(self, token: OAuthToken, need: Need, runtime: Runtime, log: Log) -> bool:
        """Refreshes this token, or finds what has come of it. Whether there may be another one to look at."""
        state = self._state
        if token == self._memory.login and await self._memory.look_elsewhere(runtime, log):
            return True
        spent = fingerprint(token.refresh_token or "")
        now = runtime.clock.now_ms()
        if spent not in state.refusals and not token.is_valid(now):
            await self._recall_refusal(spent, runtime, log)
        refusal = state.refusals.get(spent)
        if refusal is not None and now < refusal.probe_at_ms:
            if await self._find_other(spent, token, runtime, log):
                return True
            await self._judge(spent, token, runtime, log)
            return False
        if token.access_token == need.unwanted and _is_fresh(token, now):
            self._discontinue(now, log)
            return False
        if token == self._memory.login and await self._finds_kv_readable(runtime, log):
            return True
        outcome = await self._refresh(token, runtime, log)
        now = runtime.clock.now_ms()
        if isinstance(outcome, oauth.Refreshed):
            state.last_refresh = LastRefresh("ok", now)
            await self._keep(outcome.token, spent, runtime, log)
            return False
        state.last_refresh = LastRefresh(outcome.reason, now)
        if isinstance(outcome, oauth.PassingFault):
            self._pause(outcome, runtime, log)
            return False
        await self._doubt(outcome, spent, runtime, log)
        return True

    async def _finds_kv_readable(self, runtime: Runtime, log: Log) -> bool:
        """Gives an unreadable KV some time. Whether it has become readable: then there is more to know."""
        for delay in UNREADABLE_DELAYS_SECONDS:
            if not self._state.kv_unreadable:
                return False
            await runtime.clock.sleep(delay)
            await self._memory.look(runtime, log)
        return not self._state.kv_unreadable

    async def _refresh(self, token: OAuthToken, runtime: Runtime, log: Log) -> oauth.Outcome:
        """Refreshes, and tries again within bounds while the endpoint's fault is a passing one."""
        clock = runtime.clock
        started_ms = clock.now_ms()
        attempt = 1
        while True:
            now = clock.now_ms()
            self._extend(now)
            log.info("refreshing the token", attempt=attempt)
            outcome = await oauth.refresh(runtime.fetcher, self._oauth_base_url, token, now)
            if not isinstance(outcome, oauth.PassingFault) or attempt == REFRESH_ATTEMPTS:
                return outcome
            delay = max(outcome.retry_after_seconds or 0.0, 2.0 ** (attempt - 2) * (0.5 + runtime.random()))
            if clock.now_ms() + delay * 1000 > started_ms + REFRESH_BUDGET_MS:
                return outcome
            log.info("refresh failed in passing", reason=outcome.reason, retry_in_ms=int(delay * 1000))
            await clock.sleep(delay)
            attempt += 1

    async def _keep(self, token: OAuthToken, spent: str, runtime: Runtime, log: Log) -> None:
        now = runtime.clock.now_ms()
        lifetime_ms = (token.expiry_date_ms or now) - now
        log.info("token refreshed", expires_in_seconds=lifetime_ms // 1000)
        self._state.refusals.pop(spent, None)
        self._extend(now)
        await self._memory.keep(token, spent, runtime, log)
        if not token.is_valid(runtime.clock.now_ms()):
            log.error("refreshed token is not usable", expires_in_seconds=lifetime_ms // 1000)
            self._state.retry_at_ms = now + PENDING_RETRY_MS

    def _pause(self, fault: oauth.PassingFault, runtime: Runtime, log: Log) -> None:
        """After a passing fault: no request of ours storms the endpoint."""
        state = self._state
        backoff = min(MAX_FAULT_PAUSE_SECONDS, 2.0 ** min(state.faults, 6)) * (0.5 + runtime.random())
        pause = min(MAX_FAULT_PAUSE_SECONDS, max(backoff, fault.retry_after_seconds or 0.0))
        state.faults += 1
        state.retry_at_ms = runtime.clock.now_ms() + int(pause * 1000)
        log.warning("refresh failed in passing", reason=fault.reason, retry_in_ms=int(pause * 1000))

    def _discontinue(self, now: int, log: Log) -> None:
        """The API refuses what the token endpoint has just issued: rests, longer each time in a row."""
        state = self._state
        in_a_row = now < state.discontinued_until_ms + 3 * state.discontinued_pause_ms
        rest_ms = 2 * state.discontinued_pause_ms if in_a_row else FIRST_DISCONTINUED_PAUSE_MS
        state.discontinued_pause_ms = min(rest_ms, MAX_DISCONTINUED_PAUSE_MS)
        state.discontinued_until_ms = now + state.discontinued_pause_ms
        state.usable_until_ms = 0
        log.error("fresh token refused by the API", code="oauth_discontinued", rest_ms=rest_ms)

    def _extend(self, now: int) -> None:
        """Shows that the job is alive."""
        self._state.job_until_ms = now + LEASE_MS

    # Refusals

    async def _doubt(self, refused: oauth.Refused, spent: str, runtime: Runtime, log: Log) -> None:
        """Remembers a refusal, and looks whether another isolate's refresh is the reason for it."""
        log.warning("refresh refused", reason=refused.reason, consequence="looking for another login in KV")
        now = runtime.clock.now_ms()
        earlier = self._state.refusals.get(spent)
        since_ms = now if earlier is None else earlier.since_ms
        self._state.refusals[spent] = Refusal(refused.reason, since_ms, now + PROBE_MS)
        self._extend(now)
        await runtime.clock.sleep(SETTLE_SECONDS)
        await self._memory.look(runtime, log)

    async def _recall_refusal(self, spent: str, runtime: Runtime, log: Log) -> None:
        """Takes over what an earlier isolate has found out about this refresh token."""
        store = self._memory.store(runtime)
        if store is None:
            return
        try:
            refused = await store.read_rejection()
        except StoreError as error:
            log.warning("KV failed", operation="read", error=str(error))
            return
        if refused == spent:
            now = runtime.clock.now_ms()
            self._state.refusals[spent] = Refusal("refused earlier", now, now + PROBE_MS, final=True)

    async def _find_other(self, spent: str, token: OAuthToken, runtime: Runtime, log: Log) -> bool:
        """Takes over the login that came of the refused token, or the other of two undecided ones."""
        state, memory, store = self._state, self._memory, self._memory.store(runtime)
        if store is not None:
            try:
                found = await store.read_successor(spent)
            except (StoreError, CorruptRecord) as error:
                state.kv_unreadable = True
                log.warning("KV failed", operation="read", error=str(error))
                found = None
            if (
                found is not None
                and found.token.access_token != token.access_token
                and memory.is_promising(found.token, runtime.clock.now_ms())
            ):
                log.info("another isolate has refreshed", found_in="successor")
                memory.adopt(found.token, "kv", runtime, log)
                return True
        other, state.alternative = state.alternative, None
        if other is None or not memory.is_promising(other, runtime.clock.now_ms()):
            return False
        log.warning("the other login is tried", reason="KV's record does not tell its origin")
        memory.adopt(other, "environment" if other == memory.login else "kv", runtime, log)
        return True

    async def _judge(self, spent: str, token: OAuthToken, runtime: Runtime, log: Log) -> None:
        """Decides whether a refusal is final, or whether KV could still be hiding another isolate's login.

        A login that was never rotated is not waited for: another isolate can have spent it only if this is
        the very first refresh since it was configured, and a dead one should say so at once. Should it be
        wrong, every later request looks into KV again.
        """
        state, store = self._state, self._memory.store(runtime)
        refusal = state.refusals[spent]
        now = runtime.clock.now_ms()
        if refusal.final:
            return
        if store is not None:
            rotated = token != self._memory.login
            if state.kv_unreadable or (rotated and now < refusal.since_ms + CONFIRM_MS):
                state.retry_at_ms = now + PENDING_RETRY_MS
                return
        log.error(
            "login rejected",
            reason=refusal.reason,
            action="set QWEN_CLI_AUTH to a new oauth_creds.json, or QWEN_API_KEY",
        )
        state.refusals[spent] = refusal._replace(final=True)
        if store is not None:
            try:
                await store.write_rejection(spent)
            except StoreError as error:
                log.warning("KV failed", operation="write", error=str(error))


def _is_fresh(token: OAuthToken, now: int) -> bool:
    return token.refreshed_at_ms is not None and now < token.refreshed_at_ms + FRESH_MS
