"""One OAuth account, as requests and the cron trigger see it.

The life of a request: a valid token in memory is used at once (the hot path: no KV, no await). Otherwise
one request of the isolate starts a job in the background and all of them, itself included, poll the state
until it has come to something. No awaitable is shared (Workers kills a request that awaits another one's), a
hang-up loses nothing, and a job that dies is replaced when its lease is over.
"""

import time
from typing import Any

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.renewal import Need, Renewal
from qwen_worker.credentials.state import CredentialState, account_state
from qwen_worker.credentials.token_memory import ATTENTION_PAUSE_MS, TokenMemory
from qwen_worker.errors import CredentialsMissing, CredentialsRejected, ProxyError, RefreshPending
from qwen_worker.fingerprint import fingerprint
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime

POLL_SECONDS = 0.02
PATIENCE_MS = 45_000
"""How long a request waits for a token: through one dead job and the one that replaces it."""

REJECTED_MESSAGE = (
    "Qwen has refused the refresh token of this gateway's login. The operator must log in with the Qwen Code "
    "CLI and set QWEN_CLI_AUTH to the new oauth_creds.json, or set QWEN_API_KEY and QWEN_BASE_URL."
)
EXPIRED_MESSAGE = (
    "This gateway's login has expired and holds no refresh token. The operator must set QWEN_CLI_AUTH to a "
    "complete oauth_creds.json, or set QWEN_API_KEY and QWEN_BASE_URL."
)
DISCONTINUED_MESSAGE = (
    "Qwen refuses an access token that it has issued just now: its OAuth tier was closed on 2026-04-15. The "
    "operator must set QWEN_API_KEY and QWEN_BASE_URL instead."
)
MISSING_MESSAGE = (
    "This gateway has no credentials for Qwen. The operator must set QWEN_API_KEY (with QWEN_BASE_URL) or "
    "QWEN_CLI_AUTH."
)


class OAuthSource:
    """The OAuth account whose record has the key `record_key`, configured with `login` or by KV alone.

    `oauth_base_url` is the host of the token endpoint. `base_url` is where to call in any case,
    `fallback_base_url` where to call if the login names no host. `lead_seconds` before its expiry a token is
    refreshed. `is_alone`: there is no other login.
    """

    def __init__(
        self,
        login: OAuthToken | None,
        states: CredentialState,
        *,
        record_key: str,
        oauth_base_url: str,
        fallback_base_url: str | None,
        lead_seconds: float,
        base_url: str | None = None,
        is_alone: bool = True,
    ) -> None:
        lineage = None if login is None else fingerprint(login.access_token, login.refresh_token or "")
        self._state = account_state(states, record_key, lineage)
        self._memory = TokenMemory(
            login,
            self._state,
            record_key=record_key,
            base_url=base_url,
            is_alone=is_alone,
            fallback_base_url=fallback_base_url,
            lead_seconds=lead_seconds,
        )
        self._renewal = Renewal(self._memory, oauth_base_url)

    async def acquire(self, runtime: Runtime, log: Log, *, patience_ms: int | None = None) -> Credential:
        """The credential to call Qwen with. `patience_ms` bounds how long one is waited for.

        Raises CredentialsMissing, RefreshPending, CredentialsRejected.
        """
        state = self._state
        now = runtime.clock.now_ms()
        if now >= state.usable_until_ms or state.credential is None:
            return await self._wait_for(None, runtime, log, patience_ms)
        if now >= state.attention_at_ms:
            self._attend(now, runtime, log)
        if log.is_debug:
            self._log_token("memory", now, log)
        return state.credential

    async def replace(
        self, refused: Credential, runtime: Runtime, log: Log, *, patience_ms: int | None = None
    ) -> Credential:
        """Another credential than the one that the API has refused: found, or made by a forced refresh.

        Raises what `acquire` raises; CredentialsRejected with the code `oauth_discontinued` if the refused
        one has only just been issued.
        """
        return await self._wait_for(refused.secret, runtime, log, patience_ms)

    @property
    def stage(self) -> object:
        """The token at its present stage, to be compared with a later one."""
        return self._state.token

    def has_renewed(self, refused: object, now_ms: int) -> bool:
        """Whether there is a usable token now, and another one than was `refused`."""
        token = self._state.token
        return (
            token is not None
            and token != refused
            and token.is_valid(now_ms)
            and now_ms >= self._state.discontinued_until_ms
        )

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """What the cron trigger does: refreshes so early that requests need not, saves what is unsaved."""
        state = self._state
        now = runtime.clock.now_ms()
        if self._memory.is_settled(now, soon=True):
            await self._memory.save_with_patience(runtime, log)
        elif now >= state.job_until_ms and now >= state.retry_at_ms:
            await self._renewal.run(Need("not due soon"), runtime, log)

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """What an operator needs to know, without a token or a part of one.

        Reads KV only in a fresh isolate.
        """
        state = self._state
        if state.token is None and state.job_until_ms == 0:
            await self._memory.look(runtime, Log(lambda level, line: None, "silent"))
        now = runtime.clock.now_ms()
        token, refresh = state.token, state.last_refresh
        return {
            "kind": "oauth",
            "state": self._condition(now),
            "source": None if token is None else state.source,
            "expires_in_seconds": _seconds_left(token, now),
            "refreshable": token is not None and token.refresh_token is not None,
            "last_refresh": None
            if refresh is None
            else {
                "result": refresh.result,
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(refresh.at_ms // 1000)),
                "seconds_ago": (now - refresh.at_ms) // 1000,
            },
            "kv_bound": runtime.kv is not None,
            "kv_readable": not state.kv_unreadable if runtime.kv is not None else None,
            "saved": state.unsaved is None and runtime.kv is not None,
        }

    def _condition(self, now: int) -> str:
        """The account in one word, for /health."""
        state = self._state
        if state.token is None:
            return "missing"
        if now < state.discontinued_until_ms:
            return "discontinued"
        refusal = self._memory.refusal_of(state.token)
        if refusal is not None and refusal.final:
            return "rejected"
        if state.token.is_valid(now):
            return "ready"
        return "expired" if state.token.refresh_token is None else "refresh_pending"

    async def _wait_for(
        self, unwanted: str | None, runtime: Runtime, log: Log, patience_ms: int | None
    ) -> Credential:
        """Polls until there is a usable token other than `unwanted`; sees that someone is at work on it."""
        state, clock = self._state, runtime.clock
        deadline = clock.now_ms() + (PATIENCE_MS if patience_ms is None else patience_ms)
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
                        self._log_token(state.source, now, log)
                    return credential
            if now >= state.job_until_ms:
                if state.job_until_ms == 0 and (settled or now < state.retry_at_ms):
                    raise self._failure(now)
                if state.job_until_ms:
                    log.warning("credentials job died", consequence="this request takes over")
                self._renewal.start(Need("not due", unwanted), runtime, log)
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
        refusal = self._memory.refusal_of(token)
        if refusal is not None and refusal.final:
            return CredentialsRejected(REJECTED_MESSAGE)
        return RefreshPending(
            "The token for Qwen is being refreshed, or the refresh failed in passing. Try again shortly.",
            retry_after_seconds=max(1.0, (self._state.retry_at_ms - now) / 1000),
        )

    def _attend(self, now: int, runtime: Runtime, log: Log) -> None:
        """Starts in the background what is due, while the request goes on with the token that it has."""
        state = self._state
        state.attention_at_ms = now + ATTENTION_PAUSE_MS
        if state.unsaved is not None:
            runtime.background.spawn(self._memory.save_with_patience(runtime, log))
        elif now >= state.job_until_ms:
            self._renewal.start(Need("looked" if now < state.due_at_ms else "not due"), runtime, log)

    def _log_token(self, source: str, now: int, log: Log) -> None:
        state = self._state
        if state.token is not None and state.credential is not None:
            log.debug("token source", source=source)
            left = _seconds_left(state.token, now)
            log.debug("token validity", expires_in_seconds=left, valid=state.token.is_valid(now))
            log.debug("base URL resolved", base_url=state.credential.base_url)


def _seconds_left(token: OAuthToken | None, now: int) -> int | None:
    if token is None or token.expiry_date_ms is None:
        return None
    return (token.expiry_date_ms - now) // 1000
