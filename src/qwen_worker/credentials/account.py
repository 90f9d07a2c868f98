"""One OAuth account: which token to use now, when to refresh it, what to do when that fails.

The life of a request: a valid token in memory is used at once (the hot path: no KV, no await). Otherwise
one request of the isolate starts a job in the background and all of them, itself included, poll the state
until it has come to something. No awaitable is shared (Workers kills a request that awaits another one's), a
hang-up loses nothing, and a job that dies is replaced when its lease is over.

A job looks into KV first, because another isolate may have refreshed already, and spends the refresh token
only if that has not helped. The new token is in memory before anything else happens, and offered to KV before
anyone uses it. A refusal by the token endpoint is not believed at once: the token may have been spent by
another isolate whose record this place cannot see yet. Nothing is ever deleted from KV.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Literal, NamedTuple

from qwen_worker.credentials import oauth
from qwen_worker.credentials.fingerprint import fingerprint
from qwen_worker.credentials.model import (
    FOREVER_MS,
    Credential,
    OAuthToken,
    oauth_api_base_url,
    usable_resource_url,
)
from qwen_worker.credentials.state import CredentialState, LastRefresh, Refusal, Source, Unsaved
from qwen_worker.credentials.store import (
    REJECTION_LIFETIME_SECONDS,
    CorruptRecord,
    LoginStore,
    StoredLogin,
)
from qwen_worker.errors import CredentialsMissing, CredentialsRejected, ProxyError, RefreshPending
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime, StoreError

POLL_SECONDS = 0.02
LEASE_MS = oauth.TOKEN_TIMEOUT_MS + 3_000
"""A job that has shown no progress for so long has died with its request."""
PATIENCE_MS = 45_000
"""How long a request waits for a token: through one dead job and the one that replaces it."""

REFRESH_ATTEMPTS = 3
REFRESH_BUDGET_MS = 10_000
"""No further attempt of a job starts later than this; what waits in the background has 30 s in all."""
MAX_FAULT_PAUSE_SECONDS = 60.0

SETTLE_SECONDS = 2.0
"""After a refusal: time for the isolate that has won the race to write what it got."""
CONFIRM_MS = 75_000
"""A refusal is final when KV, stale for up to 60 s, has not shown another login for so long."""
PENDING_RETRY_MS = 4_000
MAX_STEPS = 12
"""How far a job follows the trail of other isolates' refreshes at most."""
PROBE_MS = REJECTION_LIFETIME_SECONDS * 1000

SAVE_DELAYS_SECONDS = (1.1, 2.0, 4.0, 8.0, 11.0)
"""Pauses between attempts to write a token: more than a second (KV's limit a key), 30 s in all."""
SAVING_LEASE_MS = 15_000

BACKGROUND_PAUSE_MS = 15_000
YOUTH = 0.15
"""The part of a token's life in which it is not refreshed, however long the lead time."""

FRESH_MS = 60_000
"""A token refused by the API within this time of its issue was not refused for its age."""
FIRST_DISCONTINUED_REST_MS = 5_000
MAX_DISCONTINUED_REST_MS = 600_000

REJECTED_MESSAGE = (
    "Qwen has refused the refresh token of this gateway's login. The operator must log in with the Qwen Code "
    "CLI and set QWEN_CLI_AUTH to the new oauth_creds.json, or set QWEN_API_KEY and OPENAI_BASE_URL."
)
EXPIRED_MESSAGE = (
    "This gateway's login has expired and holds no refresh token. The operator must set QWEN_CLI_AUTH to a "
    "complete oauth_creds.json, or set QWEN_API_KEY and OPENAI_BASE_URL."
)
DISCONTINUED_MESSAGE = (
    "Qwen refuses an access token that it has issued just now: its OAuth tier was closed on 2026-04-15. The "
    "operator must set QWEN_API_KEY and OPENAI_BASE_URL instead."
)
MISSING_MESSAGE = (
    "This gateway has no credentials for Qwen. The operator must set QWEN_API_KEY (with OPENAI_BASE_URL) or "
    "QWEN_CLI_AUTH."
)


class Need(NamedTuple):
    """What a job is to achieve.

    `until` says how good a token must be: not due for a refresh now, or not before the next cron trigger
    either; "looked": one look into KV is all. `unwanted` is an access token that the API has refused.
    """

    until: Literal["not due", "not due soon", "looked"]
    unwanted: str | None = None


class OAuthAccount:
    """The OAuth account whose record has the key `record_key`, configured with `login` (or by KV alone).

    `fallback_base_url` serves where the login names no host; `lead_seconds` before its expiry a token is
    refreshed.
    """

    def __init__(
        self,
        login: OAuthToken | None,
        state: CredentialState,
        *,
        record_key: str,
        oauth_base_url: str,
        fallback_base_url: str | None,
        lead_seconds: float,
    ) -> None:
        self._login = login
        self._record_key = record_key
        self._oauth_base_url = oauth_base_url
        self._fallback_base_url = fallback_base_url
        self._lead_ms = int(lead_seconds * 1000)
        lineage = None if login is None else fingerprint(login.access_token, login.refresh_token or "")
        self._state = state.account(record_key, lineage)
        if self._state.credential is not None:
            self._state.credential = self._credential(self._state.credential.secret)

    # What requests ask

    async def acquire(self, runtime: Runtime, log: Log) -> Credential:
        """The credential to call Qwen with.

        Raises CredentialsMissing, RefreshPending, CredentialsRejected.
        """
        state = self._state
        now = runtime.clock.now_ms()
        if now >= state.usable_until_ms or state.credential is None:
            return await self._wait_for(None, runtime, log)
        if now >= state.attention_at_ms:
            self._attend(now, runtime, log)
        if log.is_debug:
            log.debug("token source", source="memory")
            self._log_token(now, log)
        return state.credential

    async def replace(self, refused: Credential, runtime: Runtime, log: Log) -> Credential:
        """Another credential than the one that the API has refused: found, or made by a forced refresh.

        Raises what `acquire` raises; CredentialsRejected with the code `oauth_discontinued` if the refused
        one has only just been issued.
        """
        return await self._wait_for(refused.secret, runtime, log)

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """What the cron trigger does: refreshes so early that requests need not, saves what is unsaved."""
        state = self._state
        now = runtime.clock.now_ms()
        if self._is_met(Need("not due soon"), now):
            await self._save_with_patience(runtime, log)
        elif now >= state.job_until_ms and now >= state.retry_at_ms:
            await self._job(self._take_job(None, now), Need("not due soon"), runtime, log)

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """What an operator needs to know, without a token or a part of one.

        Reads KV only in a fresh isolate.
        """
        state = self._state
        if state.token is None and state.job_until_ms == 0:
            await self._look(runtime, Log(_discard, "silent"))
        now = runtime.clock.now_ms()
        token = state.token
        refresh = state.last_refresh
        return {
            "kind": "oauth",
            "state": self._condition(now),
            "source": state.source if token else None,
            "expires_in_seconds": _seconds_left(token, now),
            "refreshable": token is not None and token.refresh_token is not None,
            "last_refresh": None
            if refresh is None
            else {
                "result": refresh.result,
                "at": _iso(refresh.at_ms),
                "seconds_ago": (now - refresh.at_ms) // 1000,
            },
            "kv_bound": runtime.kv is not None,
            "kv_problem": state.kv_problem,
            "unsaved": state.unsaved is not None,
        }

    def _condition(self, now: int) -> str:
        """The account in one word, for /health."""
        state = self._state
        if state.token is None:
            return "missing"
        if now < state.discontinued_until_ms:
            return "discontinued"
        refusal = self._refusal_of(state.token)
        if refusal is not None and refusal.final:
            return "rejected"
        if state.token.is_valid(now):
            return "ready"
        return "expired" if state.token.refresh_token is None else "refresh pending"

    # Waiting

    async def _wait_for(self, unwanted: str | None, runtime: Runtime, log: Log) -> Credential:
        """Polls until there is a usable token other than `unwanted`; sees that someone is at work on it."""
        state, clock = self._state, runtime.clock
        deadline = clock.now_ms() + PATIENCE_MS
        settled = False
        pause = POLL_SECONDS / 4
        while True:
            now = clock.now_ms()
            if now < state.discontinued_until_ms:
                raise CredentialsRejected(DISCONTINUED_MESSAGE, code="oauth_discontinued")
            token, credential = state.token, state.credential
            if token is not None and credential is not None and token.is_valid(now):
                state.usable_until_ms = token.usable_until_ms
                if credential.secret != unwanted:
                    if log.is_debug:
                        log.debug("token source", source=state.source)
                        self._log_token(now, log)
                    return credential
            if now >= state.job_until_ms:
                if state.job_until_ms == 0 and (settled or now < state.retry_at_ms):
                    raise self._failure(now)
                if state.job_until_ms:
                    log.warning("credentials job died", consequence="this request takes over")
                self._start(Need("not due", unwanted), runtime, log)
            elif now >= deadline:
                raise RefreshPending("A token is being refreshed.", retry_after_seconds=2)
            settled = unwanted is None or state.job_unwanted == unwanted
            await clock.sleep(pause)
            pause = min(POLL_SECONDS, pause * 2)

    def _failure(self, now: int) -> ProxyError:
        """Why there is no token, in the words for the client."""
        token = self._state.token
        if token is None:
            return CredentialsMissing(MISSING_MESSAGE)
        if token.refresh_token is None:
            return CredentialsRejected(EXPIRED_MESSAGE)
        refusal = self._refusal_of(token)
        if refusal is not None and refusal.final:
            return CredentialsRejected(REJECTED_MESSAGE)
        return RefreshPending(
            "The token for Qwen is being refreshed, or the refresh failed in passing. Try again shortly.",
            retry_after_seconds=max(1.0, (self._state.retry_at_ms - now) / 1000),
        )

    def _attend(self, now: int, runtime: Runtime, log: Log) -> None:
        """Starts in the background what is due, while the request goes on with the token that it has."""
        state = self._state
        state.attention_at_ms = now + BACKGROUND_PAUSE_MS
        if state.unsaved is not None:
            runtime.background.spawn(self._save_with_patience(runtime, log))
        elif now >= state.job_until_ms:
            self._start(Need("looked" if now < state.due_at_ms else "not due"), runtime, log)

    # The job

    def _start(self, need: Need, runtime: Runtime, log: Log) -> None:
        number = self._take_job(need.unwanted, runtime.clock.now_ms())
        runtime.background.spawn(self._job(number, need, runtime, log))

    def _take_job(self, unwanted: str | None, now: int) -> int:
        state = self._state
        state.job += 1
        state.job_unwanted = unwanted
        state.job_until_ms = now + LEASE_MS
        return state.job

    async def _job(self, number: int, need: Need, runtime: Runtime, log: Log) -> None:
        """Achieves `need` or finds out why not; the state tells. Never raises."""
        state = self._state
        try:
            await self._renew(number, need, runtime, log)
        except Exception as error:
            log.error("credentials job failed", exception=type(error).__name__)
            state.retry_at_ms = runtime.clock.now_ms() + PENDING_RETRY_MS
        finally:
            if state.job == number:
                state.job_until_ms = 0
                self._schedule(runtime.clock.now_ms())
        await self._save_with_patience(runtime, log)

    async def _renew(self, number: int, need: Need, runtime: Runtime, log: Log) -> None:
        state, clock = self._state, runtime.clock
        unsaved = state.unsaved
        if unsaved is not None and unsaved.token != state.token:
            self._adopt(unsaved.token, "memory", runtime, log)  # its job died before it could
        if self._is_met(need, clock.now_ms()):
            return
        await self._look(runtime, log)
        if need.until == "looked":
            return
        for _ in range(MAX_STEPS):
            token = state.token
            if state.job != number or token is None or token.refresh_token is None:
                return
            if self._is_met(need, clock.now_ms()) or not await self._advance(token, need, runtime, log):
                return

    async def _advance(self, token: OAuthToken, need: Need, runtime: Runtime, log: Log) -> bool:
        """Refreshes this token, or finds what has come of it. Whether there is another one to look at now."""
        state = self._state
        spent = fingerprint(token.refresh_token or "")
        now = runtime.clock.now_ms()
        if state.refusals.get(spent) is None and not token.is_valid(now):
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
        outcome = await self._refresh(token, runtime, log)
        now = runtime.clock.now_ms()
        state.last_refresh = LastRefresh(
            outcome.reason if not isinstance(outcome, oauth.Refreshed) else "ok", now
        )
        if isinstance(outcome, oauth.Refreshed):
            await self._keep(outcome.token, spent, runtime, log)
            return False
        if isinstance(outcome, oauth.PassingFault):
            self._pause(outcome, runtime, log)
            return False
        log.warning(
            "refresh refused", reason=outcome.reason, consequence="looking for another isolate's login"
        )
        since_ms = now if refusal is None else refusal.since_ms
        state.refusals[spent] = Refusal(outcome.reason, since_ms, now + PROBE_MS)
        self._extend(SETTLE_SECONDS, now)
        await runtime.clock.sleep(SETTLE_SECONDS)
        await self._look(runtime, log)
        return True

    async def _refresh(self, token: OAuthToken, runtime: Runtime, log: Log) -> oauth.Outcome:
        """Refreshes, and tries again within bounds while the endpoint's fault is a passing one."""
        clock = runtime.clock
        started_ms = clock.now_ms()
        attempt = 1
        while True:
            now = clock.now_ms()
            self._extend(0, now)
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

    def _pause(self, fault: oauth.PassingFault, runtime: Runtime, log: Log) -> None:
        """After a passing fault: no isolate of ours storms the endpoint."""
        state = self._state
        backoff = min(MAX_FAULT_PAUSE_SECONDS, 2.0 ** min(state.faults, 6)) * (0.5 + runtime.random())
        pause = min(MAX_FAULT_PAUSE_SECONDS, max(backoff, fault.retry_after_seconds or 0.0))
        state.faults += 1
        state.retry_at_ms = runtime.clock.now_ms() + int(pause * 1000)
        log.warning("refresh failed in passing", reason=fault.reason, retry_in_ms=int(pause * 1000))

    def _discontinue(self, now: int, log: Log) -> None:
        """The API refuses what the token endpoint has just issued: rests, longer each time in a row."""
        state = self._state
        in_a_row = now < state.discontinued_until_ms + 3 * state.discontinued_rest_ms
        rest = 2 * state.discontinued_rest_ms if in_a_row else FIRST_DISCONTINUED_REST_MS
        state.discontinued_rest_ms = min(rest, MAX_DISCONTINUED_REST_MS)
        state.discontinued_until_ms = now + state.discontinued_rest_ms
        state.usable_until_ms = 0
        log.error(
            "fresh token refused by the API", code="oauth_discontinued", rest_ms=state.discontinued_rest_ms
        )

    def _extend(self, seconds: float, now: int) -> None:
        """Shows that the job is alive."""
        self._state.job_until_ms = now + int(seconds * 1000) + LEASE_MS

    # Refusals

    async def _recall_refusal(self, spent: str, runtime: Runtime, log: Log) -> None:
        """Takes over what an earlier isolate has found out about this refresh token."""
        if runtime.kv is None:
            return
        try:
            refused = await LoginStore(runtime.kv, self._record_key).read_rejection()
        except StoreError as error:
            self._log_kv_problem("read", error, log)
            return
        if refused == spent:
            now = runtime.clock.now_ms()
            self._state.refusals[spent] = Refusal("refused earlier", now, now + PROBE_MS, final=True)

    async def _find_other(self, spent: str, token: OAuthToken, runtime: Runtime, log: Log) -> bool:
        """Takes over the login that came of the refused token, or the other of two undecided ones."""
        state = self._state
        if runtime.kv is not None:
            try:
                found = await LoginStore(runtime.kv, self._record_key).read_successor(spent)
            except (StoreError, CorruptRecord) as error:
                self._log_kv_problem("read", error, log)
                found = None
            if (
                found is not None
                and found.token.access_token != token.access_token
                and self._is_promising(found.token, runtime.clock.now_ms())
            ):
                log.info("another isolate has refreshed", found_in="successor")
                self._adopt(found.token, "kv", runtime, log)
                return True
        if state.alternative is not None:
            other, state.alternative = state.alternative, None
            if self._is_promising(other, runtime.clock.now_ms()):
                log.warning("the other login is tried", reason="KV's record does not tell its origin")
                self._adopt(other, "environment" if other == self._login else "kv", runtime, log)
                return True
        return False

    async def _judge(self, spent: str, token: OAuthToken, runtime: Runtime, log: Log) -> None:
        """Decides whether a refusal is final: whether KV could still be hiding another isolate's login."""
        state = self._state
        refusal = state.refusals[spent]
        now = runtime.clock.now_ms()
        if refusal.final:
            return
        unrotated = token == self._login
        hidden = state.kv_problem is not None or not (unrotated or now >= refusal.since_ms + CONFIRM_MS)
        if runtime.kv is not None and hidden:
            state.retry_at_ms = now + PENDING_RETRY_MS
            return
        log.error(
            "login rejected",
            reason=refusal.reason,
            action="set QWEN_CLI_AUTH to a new oauth_creds.json, or QWEN_API_KEY",
            token_usable_seconds=_seconds_left(token, now),
        )
        state.refusals[spent] = refusal._replace(final=True)
        if runtime.kv is not None:
            try:
                await LoginStore(runtime.kv, self._record_key).write_rejection(spent)
            except StoreError as error:
                self._log_kv_problem("write", error, log)

    def _refusal_of(self, token: OAuthToken) -> Refusal | None:
        return self._state.refusals.get(fingerprint(token.refresh_token or ""))

    def _is_promising(self, token: OAuthToken, now: int) -> bool:
        """Whether a login is worth taking over: usable, or not yet refused."""
        return token.is_valid(now) or (token.refresh_token is not None and self._refusal_of(token) is None)

    # Memory and KV

    async def _look(self, runtime: Runtime, log: Log) -> None:
        """Reads KV's record and takes its login over if it is better than the one in memory."""
        state = self._state
        corrupt = False
        if runtime.kv is not None:
            try:
                stored = await self._read(LoginStore(runtime.kv, self._record_key), runtime)
                state.kv_problem = None
                if stored is not None:
                    self._consider(stored, runtime, log)
            except CorruptRecord as error:
                corrupt = True
                log.warning("stored login is corrupt", problem=str(error), consequence="it will be replaced")
            except StoreError as error:
                self._log_kv_problem("read", error, log)
        if state.token is None and self._login is not None:
            self._adopt(self._login, "environment", runtime, log)
        if corrupt and state.unsaved is None and state.token is not None:
            state.unsaved = Unsaved(state.token, "", login_due=True, successor_due=False)

    async def _read(self, store: LoginStore, runtime: Runtime) -> StoredLogin | None:
        """Reads the record; a failing KV gets a second chance."""
        try:
            return await store.read()
        except StoreError:
            await runtime.clock.sleep(0.1 + 0.2 * runtime.random())
            return await store.read()

    def _consider(self, stored: StoredLogin, runtime: Runtime, log: Log) -> None:
        """Takes over KV's login, unless it belongs to another secret or is older than what we have."""
        state, now = self._state, runtime.clock.now_ms()
        if self._is_foreign(stored):
            if state.record_is_ours and not state.superseded:
                state.superseded = True
                log.warning(
                    "another login has taken over the record", consequence="it is no longer written here"
                )
            return
        if state.lineage is None:
            state.descends_from = stored.secret_fingerprint
        else:
            state.record_is_ours = stored.secret_fingerprint is not None
        current = state.token
        if current is None:
            self._choose_first(stored, runtime, log)
            return
        if stored.token.access_token == current.access_token or not self._is_promising(stored.token, now):
            return
        if current.is_valid(now):
            better = stored.token.is_newer_than(current) and stored.token.is_valid(now)
        else:
            dead = current.refresh_token is None or self._refusal_of(current) is not None
            better = stored.token.is_newer_than(current) or stored.token.is_valid(now) or dead
        if better:
            log.info("another isolate has refreshed", found_in="record")
            self._adopt(stored.token, "kv", runtime, log)

    def _choose_first(self, stored: StoredLogin, runtime: Runtime, log: Log) -> None:
        """KV or the environment, in a fresh isolate. A predecessor's record does not tell its origin."""
        login = self._login
        if login is None or stored.secret_fingerprint is not None or stored.token.is_newer_than(login):
            self._adopt(stored.token, "kv", runtime, log)
            other = login if stored.secret_fingerprint is None else None
        else:
            self._adopt(login, "environment", runtime, log)
            other = stored.token
        self._state.alternative = other

    def _is_foreign(self, stored: StoredLogin) -> bool:
        """Whether the record descends from another secret than the one that is configured."""
        return self._state.lineage is not None and stored.secret_fingerprint not in (
            None,
            self._state.lineage,
        )

    def _adopt(self, token: OAuthToken, source: Source, runtime: Runtime, log: Log) -> None:
        """Makes `token` the one that this isolate uses."""
        state, now = self._state, runtime.clock.now_ms()
        if token.resource_url is not None and usable_resource_url(token.resource_url) is None:
            log.warning("resource_url of the login is not usable", consequence="the next base URL is used")
        state.token = token
        state.source = source
        state.credential = self._credential(token.access_token)
        state.usable_until_ms = token.usable_until_ms
        # Isolates that hold the same token must not fall due at the same moment: few are early, so that the
        # first one's refresh is visible to the others when their time comes.
        early_ms = int(self._lead_ms / 2 * (1 - runtime.random() ** (1 / 3)))
        state.due_at_ms = self._due_ms(token, self._lead_ms + early_ms)
        state.retry_at_ms = 0
        state.faults = 0
        self._schedule(now)

    def _credential(self, access_token: str) -> Credential:
        token = self._state.token
        base_url = oauth_api_base_url(token.resource_url if token else None, self._fallback_base_url)
        return Credential("oauth", access_token, base_url)

    def _due_ms(self, token: OAuthToken, lead_ms: int) -> int:
        """When to refresh this token: `lead_ms` before its expiry, but not in the first part of its life."""
        if token.expiry_date_ms is None or token.refresh_token is None:
            return FOREVER_MS
        due_ms = token.expiry_date_ms - lead_ms
        if token.refreshed_at_ms is None:
            return due_ms
        lifetime_ms = token.expiry_date_ms - token.refreshed_at_ms
        return max(due_ms, token.refreshed_at_ms + int(lifetime_ms * YOUTH))

    def _is_met(self, need: Need, now: int) -> bool:
        state = self._state
        token = state.token
        if token is None or token.access_token == need.unwanted or not token.is_valid(now):
            return False
        return now < (
            self._due_ms(token, 2 * self._lead_ms) if need.until == "not due soon" else state.due_at_ms
        )

    def _schedule(self, now: int) -> None:
        """Sets when the hot path has to start work in the background next."""
        state = self._state
        at_ms = state.due_at_ms
        if at_ms <= now:
            refused = state.token is not None and self._refusal_of(state.token) is not None
            at_ms = max(state.retry_at_ms, now + (CONFIRM_MS if refused else BACKGROUND_PAUSE_MS))
        if state.unsaved is not None or (state.kv_problem is not None and state.source == "environment"):
            at_ms = min(at_ms, now + BACKGROUND_PAUSE_MS)
        state.attention_at_ms = at_ms

    async def _keep(self, token: OAuthToken, spent: str, runtime: Runtime, log: Log) -> None:
        """Holds on to a rotated token: in memory at once, in KV before anyone uses it."""
        state, now = self._state, runtime.clock.now_ms()
        state.unsaved = Unsaved(token, spent, login_due=not state.superseded, successor_due=True)
        log.info("token refreshed", expires_in_seconds=_seconds_left(token, now))
        await self._save(runtime, log)
        self._adopt(token, "memory", runtime, log)
        if not token.is_valid(runtime.clock.now_ms()):
            log.error("refreshed token is not usable", expires_in_seconds=_seconds_left(token, now))
            state.retry_at_ms = now + PENDING_RETRY_MS

    async def _save(self, runtime: Runtime, log: Log, *, again: bool = False) -> bool:
        """One attempt to write what is unsaved; a later one (`again`) checks that KV holds nothing newer.

        Returns whether nothing is left to write.
        """
        state, unsaved = self._state, self._state.unsaved
        if unsaved is None or runtime.kv is None:
            state.unsaved = None
            return True
        store = LoginStore(runtime.kv, self._record_key)
        if again and unsaved.login_due and await self._is_outdated(unsaved.token, store):
            log.info("token not written", reason="KV holds a newer one")
            state.unsaved = unsaved = unsaved._replace(login_due=False)
        login = StoredLogin(unsaved.token, state.descends_from or "none")
        login_saved, successor_saved = await asyncio.gather(
            self._write(store.write(login) if unsaved.login_due else None, log),
            self._write(store.write_successor(unsaved.spent, login) if unsaved.successor_due else None, log),
        )
        if unsaved.login_due and login_saved:
            state.record_is_ours = state.lineage is not None
        if state.unsaved is unsaved:
            rest = unsaved._replace(login_due=not login_saved, successor_due=not successor_saved)
            state.unsaved = rest if rest.login_due or rest.successor_due else None
        return state.unsaved is None

    async def _write(self, write: Coroutine[Any, Any, None] | None, log: Log) -> bool:
        """Whether the write has succeeded, or there was none to do."""
        if write is not None:
            try:
                await write
            except StoreError as error:
                self._log_kv_problem("write", error, log)
                return False
        return True

    async def _is_outdated(self, token: OAuthToken, store: LoginStore) -> bool:
        """Whether KV holds this token or a newer one already, or a login that is not ours to overwrite."""
        try:
            stored = await store.read()
        except (StoreError, CorruptRecord):
            return False
        if stored is None:
            return False
        if self._is_foreign(stored):
            return self._state.record_is_ours
        return not token.is_newer_than(stored.token)

    async def _save_with_patience(self, runtime: Runtime, log: Log) -> None:
        """Goes on writing what is unsaved, as long as background work may last."""
        state, clock = self._state, runtime.clock
        if state.unsaved is None or clock.now_ms() < state.saving_until_ms:
            return
        for delay in SAVE_DELAYS_SECONDS:
            state.saving_until_ms = clock.now_ms() + int(delay * 1000) + SAVING_LEASE_MS
            await clock.sleep(delay)
            if await self._save(runtime, log, again=True):
                log.info("token saved")
                break
        else:
            log.error("token not saved", consequence="it is lost if this isolate ends before KV works again")
        state.saving_until_ms = 0
        self._schedule(clock.now_ms())

    # Telling

    def _log_kv_problem(self, operation: str, error: Exception, log: Log) -> None:
        self._state.kv_problem = f"{operation} failed"
        log.warning("KV failed", operation=operation, error=str(error))

    def _log_token(self, now: int, log: Log) -> None:
        state = self._state
        if state.token is not None and state.credential is not None:
            left = _seconds_left(state.token, now)
            log.debug("token validity", expires_in_seconds=left, valid=state.token.is_valid(now))
            log.debug("base URL resolved", base_url=state.credential.base_url)


def _is_fresh(token: OAuthToken, now: int) -> bool:
    return token.refreshed_at_ms is not None and now < token.refreshed_at_ms + FRESH_MS


def _seconds_left(token: OAuthToken | None, now: int) -> int | None:
    if token is None or token.expiry_date_ms is None:
        return None
    return (token.expiry_date_ms - now) // 1000


def _iso(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms // 1000))


def _discard(level: str, line: str) -> None:
    """The sink of a log that nobody reads."""
