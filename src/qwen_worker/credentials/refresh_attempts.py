"""A refresh at the token endpoint, repeated within bounds."""

from collections.abc import Callable

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials import oauth
from qwen_worker.credentials.job import Job

REFRESH_ATTEMPTS = 3
REFRESH_BUDGET_MS = 10_000
"""A job starts no attempt later than this. Background work may last some 30 s in all."""


async def refresh_with_retries(job: Job, token: OAuthToken, extend: Callable[[], None]) -> oauth.Outcome:
    """Refreshes, and tries again while the endpoint's fault is a passing one.

    Calls `extend` before each attempt, to show that the job is alive.
    """
    clock, runtime, log = job.clock, job.runtime, job.log
    started_ms = clock.now_ms()
    attempt = 1
    while True:
        extend()
        log.info("refreshing the token", attempt=attempt)
        outcome = await oauth.refresh(runtime.fetcher, job.settings.oauth_base_url, token, clock.now_ms())
        if not isinstance(outcome, oauth.PassingFault) or attempt == REFRESH_ATTEMPTS:
            return outcome
        delay = max(outcome.retry_after_seconds or 0.0, 2.0 ** (attempt - 2) * (0.5 + runtime.random()))
        if clock.now_ms() + delay * 1000 > started_ms + REFRESH_BUDGET_MS:
            return outcome
        log.info("refresh failed temporarily", reason=outcome.reason, retry_in_ms=int(delay * 1000))
        await clock.sleep(delay)
        attempt += 1
