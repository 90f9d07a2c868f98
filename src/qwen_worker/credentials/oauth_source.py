"""One OAuth account, as requests and the cron trigger see it.

A request uses a valid token in memory at once, without KV and without waiting. Otherwise one request of the
isolate starts a job in the background, and all of them, itself included, poll the state until the job has
ended. No awaitable is shared (Workers kills a request that awaits another one's), the job goes on when its
client hangs up, and a job that dies is replaced when its lease is over.
"""

from typing import Any

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.job import Job, LoginSettings
from qwen_worker.credentials.kv_look import KvLook
from qwen_worker.credentials.renewal import Need, renew, start_renewal
from qwen_worker.credentials.saver import Saver
from qwen_worker.credentials.state import CredentialState, account_state
from qwen_worker.credentials.store import StoredLogin
from qwen_worker.errors import ProxyError, RefreshPending
from qwen_worker.fingerprint import fingerprint
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime

POLL_SECONDS = 0.02
PATIENCE_MS = 45_000
"""How long a request waits for a token: through one dead job and the one that replaces it."""


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
        self._settings = LoginSettings(
            login,
            record_key=record_key,
            oauth_base_url=oauth_base_url,
            base_url=base_url,
            fallback_base_url=fallback_base_url,
            lead_ms=int(lead_seconds * 1000),
            is_alone=is_alone,
        )
        self._state = account_state(states, record_key, lineage)
        self._state.call(oauth_base_url, base_url or fallback_base_url)
        held = self._state.held
        if held.token is not None:
            held.call_with(self._settings.credential(held.token))

    async def acquire(self, runtime: Runtime, log: Log, *, patience_ms: int | None = None) -> Credential:
        """The credential to call Qwen with. `patience_ms` bounds how long one is waited for.

        Raises CredentialsMissing, RefreshPending, CredentialsRejected.
        """
        state = self._state
        held, now = state.held, runtime.clock.now_ms()
        if now >= held.usable_until_ms or now < state.discontinued.until_ms or held.credential is None:
            return await self._wait_for(None, runtime, log, patience_ms)
        if now >= state.attention_at_ms:
            self._attend(now, self._job(runtime, log))
        if log.is_debug:
            self._log_token("memory", now, log)
        return held.credential

    async def replace(
        self, refused: Credential, runtime: Runtime, log: Log, *, patience_ms: int | None = None
    ) -> Credential:
        """Another credential than the one that the API has refused: found, or made by a forced refresh.

        Raises what `acquire` raises; CredentialsRejected with the code `oauth_discontinued` if the refused
        one has only just been issued.
        """
        return await self._wait_for(refused.secret, runtime, log, patience_ms)

    async def begin(self, token: OAuthToken, identity: str, runtime: Runtime, log: Log) -> None:
        """Starts with the first token of a login, which has only just been issued: writes it to KV, then uses
        it. `identity` is the login's fingerprint. What KV does not take is written later.
        """
        state, job = self._state, self._job(runtime, log)
        state.record.note_own(StoredLogin(token, identity))
        saver = Saver(job)
        await saver.begin(token)
        job.adopt(token, "memory")
        if state.unsaved.pending is not None:
            runtime.background.spawn(saver.save_with_patience())

    def note_accepted(self) -> None:
        """The API has answered with the credential."""
        self._state.discontinued.note_accepted()

    @property
    def stage(self) -> object:
        """The token in memory now, for `has_renewed` to compare with a later one."""
        return self._state.held.token

    def has_renewed(self, refused: object, now_ms: int) -> bool:
        """Whether there is a usable token now, and another one than was `refused`."""
        token = self._state.held.token
        return (
            token is not None
            and token != refused
            and token.is_valid(now_ms)
            and now_ms >= self._state.discontinued.until_ms
        )

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """For the cron trigger: refreshes before requests have to, and saves what is unsaved."""
        state, job = self._state, self._job(runtime, log)
        now = runtime.clock.now_ms()
        if state.is_settled(now, lead_ms=2 * self._settings.lead_ms):
            await Saver(job).save_with_patience()
        elif not state.job.is_held(now) and now >= state.refreshes.retry_at_ms:
            await renew(job, Need("not due soon"))

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """What an operator needs to know, without a token or a part of one.

        Reads KV only in a fresh isolate.
        """
        from qwen_worker.credentials.description import describe_login

        state, job = self._state, self._job(runtime, Log(lambda level, line: None, "silent"))
        if state.held.token is None and state.job.until_ms == 0:
            await KvLook(job).look()
        return describe_login(job)

    def _job(self, runtime: Runtime, log: Log) -> Job:
        return Job(self._settings, self._state, runtime, log)

    async def _wait_for(
        self, unwanted: str | None, runtime: Runtime, log: Log, patience_ms: int | None
    ) -> Credential:
        """Polls until there is a usable token other than `unwanted`; starts a job if nobody is at work."""
        state, clock = self._state, runtime.clock
        held, lease = state.held, state.job
        began = clock.now_ms()
        deadline = began + (PATIENCE_MS if patience_ms is None else patience_ms)
        settled = False
        pause = POLL_SECONDS / 4
        while True:
            now = clock.now_ms()
            if now < state.discontinued.until_ms or state.discontinued.is_of(unwanted, began):
                from qwen_worker.credentials.failure import discontinued

                raise discontinued()
            credential = held.credential
            if credential is not None and now < held.usable_until_ms and credential.secret != unwanted:
                if log.is_debug:
                    self._log_token(held.source, now, log)
                return credential
            if not lease.is_held(now):
                if lease.until_ms == 0 and (settled or now < state.refreshes.retry_at_ms):
                    raise self._no_token(now)
                if lease.until_ms:
                    log.warning("credentials job died", consequence="this request takes over")
                start_renewal(self._job(runtime, log), Need("not due", unwanted))
            elif now >= deadline:
                raise RefreshPending("A token is being refreshed.", retry_after_seconds=2)
            settled = unwanted is None or lease.purpose == unwanted
            await clock.sleep(pause)
            pause = min(POLL_SECONDS, pause * 2)

    def _no_token(self, now: int) -> ProxyError:
        from qwen_worker.credentials.failure import no_token

        return no_token(self._state, now)

    def _attend(self, now: int, job: Job) -> None:
        """Starts in the background what is due, while the request goes on with the token that it has."""
        state = self._state
        state.postpone(now)
        if state.unsaved.pending is not None:
            job.runtime.background.spawn(Saver(job).save_with_patience())
        elif not state.job.is_held(now):
            start_renewal(job, Need("looked" if now < state.held.due_at_ms else "not due"))

    def _log_token(self, source: str, now: int, log: Log) -> None:
        token, credential = self._state.held.token, self._state.held.credential
        if token is not None and credential is not None:
            expiry_ms = token.expiry_date_ms
            left = None if expiry_ms is None else (expiry_ms - now) // 1000
            log.debug("token source", source=source)
            log.debug("token validity", expires_in_seconds=left, valid=token.is_valid(now))
            log.debug("base URL resolved", base_url=credential.base_url)
