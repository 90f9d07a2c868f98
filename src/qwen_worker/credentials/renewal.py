"""The job that gets a good token for an account: another isolate's from KV, or a new one by a refresh.

It looks into KV first, because another isolate may have refreshed already. When the token endpoint refuses a
refresh token, another isolate may have spent it and KV may not show its record here yet. So the job follows
each spent token to the record of its successor, and rejects a login only after KV has had the time to show
another one.
"""

from collections.abc import Coroutine
from typing import Any, Literal, NamedTuple

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials import oauth
from qwen_worker.credentials.job import Job
from qwen_worker.credentials.kv_look import KvLook
from qwen_worker.credentials.refresh_attempts import refresh_with_retries
from qwen_worker.credentials.refusal_verdict import PENDING_RETRY_MS, doubt, judge
from qwen_worker.credentials.saver import Saver
from qwen_worker.fingerprint import fingerprint

LEASE_MS = oauth.TOKEN_TIMEOUT_MS + 3_000
"""A job that has shown no progress for so long has died with its request."""

MAX_STEPS = 12
"""How many tokens a job looks at at most, from a spent one to its successor and so on."""

UNREADABLE_DELAYS_SECONDS = (0.5, 1.0, 2.0)
"""Pauses while KV cannot be read. After them the configured refresh token is sent, although it was most
likely spent long ago.
"""

FRESH_MS = 60_000
"""If the API refuses a token so soon after its issue, its age is not the reason."""


class Need(NamedTuple):
    """What a job is to achieve: a token that is not due.

    `until`: not due for a request, or not due before the next cron trigger either; "looked": one look into KV
    is enough. `unwanted` is an access token that the API has refused.
    """

    until: Literal["not due", "not due soon", "looked"] = "not due"
    unwanted: str | None = None


def start_renewal(job: Job, need: Need) -> None:
    """Starts a renewal in the background. The state shows when it has ended, and its result."""
    job.runtime.background.spawn(renew(job, need))


def renew(job: Job, need: Need) -> Coroutine[Any, Any, None]:
    """A renewal that holds the account's lease from now on; to be awaited or spawned. Never raises."""
    number = job.state.job.take(job.clock.now_ms() + LEASE_MS, need.unwanted)
    return Renewal(job, need, number).run()


class Renewal:
    """One renewal; `number` is that of its lease."""

    def __init__(self, job: Job, need: Need, number: int) -> None:
        self._job = job
        self._need = need
        self._number = number
        self._state = job.state
        self._clock = job.clock
        self._log = job.log
        self._look = KvLook(job)
        self._saver = Saver(job)

    async def run(self) -> None:
        """Never raises."""
        state = self._state
        try:
            await self._renew()
        except Exception as error:
            self._log.error("credentials job failed", exception=type(error).__name__)
            state.refreshes.pause_until(self._clock.now_ms() + PENDING_RETRY_MS)
        finally:
            if state.job.belongs_to(self._number):
                state.job.release(self._number)
                state.schedule(self._clock.now_ms())
        await self._saver.save_with_patience()

    async def _renew(self) -> None:
        state = self._state
        unsaved, held = state.unsaved.pending, state.held.token
        if unsaved is not None and unsaved.token != held and not _is_later(held, unsaved.token):
            self._job.adopt(unsaved.token, "memory")  # its job has died before it could
        if self._need.until == "looked":
            await self._look.look()
            return
        if self._is_settled():
            return
        await self._look.look()
        for _ in range(MAX_STEPS):
            token = state.held.token
            if not state.job.belongs_to(self._number) or token is None or token.refresh_token is None:
                return
            if self._is_settled() or not await self._advance(token):
                return

    def _is_settled(self) -> bool:
        """Whether the need is met. The cron trigger comes again long before twice the lead time is over."""
        lead_ms = 2 * self._job.settings.lead_ms if self._need.until == "not due soon" else None
        return self._state.is_settled(self._clock.now_ms(), unwanted=self._need.unwanted, lead_ms=lead_ms)

    async def _advance(self, token: OAuthToken) -> bool:
        """Refreshes this token, or finds its successor. Returns whether there may be another token to look
        at.
        """
        state, is_configured = self._state, token == self._job.settings.login
        if is_configured and await self._look.look_at_former_key():
            return True
        spent = fingerprint(token.refresh_token or "")
        now = self._clock.now_ms()
        if state.refusals.get(spent) is None and not token.is_valid(now):
            await self._look.recall_refusal(spent)
        refusal = state.refusals.get(spent)
        if refusal is not None and now < refusal.probe_at_ms:
            if await self._look.find_other(spent, token):
                return True
            await judge(self._job, spent, token)
            return False
        if token.access_token == self._need.unwanted and _is_fresh(token, now):
            pause_ms = state.discontinued.note(token.access_token, now)
            self._log.error("fresh token refused by the API", code="oauth_discontinued", pause_ms=pause_ms)
            return False
        if is_configured and await self._finds_kv_readable():
            return True
        outcome = await refresh_with_retries(self._job, token, self._extend)
        if isinstance(outcome, oauth.Refreshed):
            await self._keep(outcome.token, token, spent)
            return False
        now = self._clock.now_ms()
        state.refreshes.note(outcome.reason, now)
        if isinstance(outcome, oauth.PassingFault):
            pause_ms = state.refreshes.pause_after_fault(
                now, outcome.retry_after_seconds, self._job.runtime.random()
            )
            self._log.warning("refresh failed temporarily", reason=outcome.reason, retry_in_ms=pause_ms)
            return False
        self._extend()
        await doubt(self._job, self._look, outcome, spent)
        return True

    async def _finds_kv_readable(self) -> bool:
        """Waits for a KV that cannot be read. Returns whether it can be read now, so that the job looks
        again.
        """
        record = self._state.record
        for delay in UNREADABLE_DELAYS_SECONDS:
            if not record.is_unreadable:
                return False
            await self._clock.sleep(delay)
            await self._look.look()
        return not record.is_unreadable

    async def _keep(self, token: OAuthToken, old: OAuthToken, spent: str) -> None:
        """Writes the new token, then uses it. `spent` is the fingerprint of the old refresh token."""
        state, now = self._state, self._clock.now_ms()
        lifetime_ms = (token.expiry_date_ms or now) - now
        state.refreshes.note("ok", now)
        self._log.info("token refreshed", expires_in_seconds=lifetime_ms // 1000)
        state.refusals.forget(spent)
        self._extend()
        await self._saver.keep(token, spent)
        held = state.held.token
        if held != old and _is_later(held, token):
            return  # while this was written, another job has refreshed this very token
        self._job.adopt(token, "memory")
        if not token.is_valid(self._clock.now_ms()):
            self._log.error("refreshed token is not usable", expires_in_seconds=lifetime_ms // 1000)
            state.refreshes.pause_until(now + PENDING_RETRY_MS)

    def _extend(self) -> None:
        """Shows that the job is alive."""
        self._state.job.extend(self._number, self._clock.now_ms() + LEASE_MS)


def _is_later(held: OAuthToken | None, token: OAuthToken) -> bool:
    """Whether the held token is from a later refresh."""
    return held is not None and (held.refreshed_at_ms or 0) > (token.refreshed_at_ms or 0)


def _is_fresh(token: OAuthToken, now: int) -> bool:
    return token.refreshed_at_ms is not None and now < token.refreshed_at_ms + FRESH_MS
