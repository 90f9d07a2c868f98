"""Decides whether a refused refresh token is dead, or was spent by another isolate."""

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials import oauth
from qwen_worker.credentials.job import Job
from qwen_worker.credentials.kv_look import KvLook
from qwen_worker.platform.ports import StoreError

SETTLE_SECONDS = 2.0
"""After a refusal: time for the isolate that has spent the token to write what it got."""
CONFIRM_MS = 75_000
"""A refusal is final when KV, stale for up to 60 s, has not shown another login for so long."""
PENDING_RETRY_MS = 4_000
"""How soon the next job may start while a refusal is not final."""


async def doubt(job: Job, look: KvLook, refused: oauth.Refused, spent: str) -> None:
    """Remembers a refusal, and looks in KV whether another isolate's refresh is the reason for it.

    `spent` is the fingerprint of the refused refresh token.
    """
    job.log.warning("refresh refused", reason=refused.reason, consequence="looking for another login in KV")
    job.state.refusals.note(spent, refused.reason, job.clock.now_ms())
    await job.clock.sleep(SETTLE_SECONDS)
    await look.look()


async def judge(job: Job, spent: str, token: OAuthToken) -> None:
    """Makes the refusal of `token` final, or has a later job look again while KV may not show another
    isolate's login yet.

    If the configured login has never been refreshed, its refusal is final at once, so that the operator
    learns of a dead login at once. Another isolate can have spent it only if this is the first refresh since
    it was configured. Then a later request finds that isolate's login in KV.
    """
    state, store, now = job.state, job.store, job.clock.now_ms()
    refusal = state.refusals.get(spent)
    if refusal is None or refusal.final:
        return
    if store is not None:
        rotated = token != job.settings.login
        if state.record.is_unreadable or (rotated and now < refusal.since_ms + CONFIRM_MS):
            state.refreshes.pause_until(now + PENDING_RETRY_MS)
            return
    job.log.error(
        "login rejected",
        reason=refusal.reason,
        action="set QWEN_CLI_AUTH to a new oauth_creds.json, or QWEN_API_KEY",
    )
    state.refusals.confirm(spent)
    if store is not None:
        try:
            await store.write_rejection(spent)
        except StoreError as error:
            job.log.warning("KV failed", operation="write", error=str(error))
