"""A login by Qwen's device flow: begins it, polls for its token, and makes it an account.

A poll may bring a token that comes only once, so it runs in the background: it goes on when the client hangs
up. Requests, also the one that has started it, look at the isolate's memory until it has ended. The token is
in KV before anything else can go wrong.
"""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from qwen_worker.accounts.kept_logins import KeptLogin
from qwen_worker.accounts.login_book import LoginBook, account_of, free_label
from qwen_worker.accounts.login_upkeep import erase
from qwen_worker.accounts.pending_logins import (
    PendingLogin,
    Polls,
    Status,
    read_pending,
    write_pending,
)
from qwen_worker.credentials import device_flow
from qwen_worker.errors import UpstreamUnavailable
from qwen_worker.fingerprint import fingerprint
from qwen_worker.log import Log
from qwen_worker.platform.ports import KeyValueStore, Runtime, StoreError
from qwen_worker.upstream.attempts import AccountAccess

if TYPE_CHECKING:
    from qwen_worker.accounts.pool import AccountPool
    from qwen_worker.config.login import OAuthToken

LEASE_MS = 45_000
"""A poll that has not ended after so long has died with its isolate's request."""
PATIENCE_MS = 25_000
"""How long a request waits for a poll to end."""
LOOK_SECONDS = 0.02
EARLY_MS = 200
"""A client that polls at the interval exactly must not come too early by a little."""
UNKNOWN_MS = 75_000
"""How long it may take to see that another isolate has spent a device code: KV is stale for up to 60 s."""

IsRefused = Callable[[AccountAccess], Awaitable[bool]]
"""Whether Qwen's API refuses an account."""


class DeviceLogins:
    """The logins by device flow, for one request. `is_refused` asks the API about a new token."""

    def __init__(
        self,
        pool: "AccountPool",
        book: LoginBook,
        kv: KeyValueStore,
        oauth_base_url: str,
        runtime: Runtime,
        log: Log,
        is_refused: IsRefused,
    ) -> None:
        self._pool = pool
        self._book = book
        self._kv = kv
        self._oauth_base_url = oauth_base_url
        self._runtime = runtime
        self._clock = runtime.clock
        self._log = log
        self._is_refused = is_refused

    async def start(self, label: str) -> PendingLogin:
        """Asks Qwen for a device code. Raises ProxyError."""
        now_ms = self._clock.now_ms()
        code = await device_flow.request_code(self._runtime.fetcher, self._oauth_base_url, now_ms)
        login = PendingLogin(
            f"login_{os.urandom(12).hex()}",
            label,
            now_ms // 1000,
            code.expires_ms,
            "pending",
            code.user_code,
            code.verification_uri,
            code.verification_uri_complete,
            code.interval_seconds,
            code.device_code,
            code.verifier,
        )
        try:
            await write_pending(self._kv, login, now_ms)
        except StoreError as error:
            self._log.warning("KV failed", operation="write", error=str(error))
            raise not_stored() from None
        self._book.pending.polls(login)
        self._log.info("login begun", label=label)
        return login

    async def find(self, name: str) -> PendingLogin | None:
        """A login that was begun here or elsewhere, as KV or this isolate knows it. None if there is none."""
        remembered = self._book.pending.remembered(name)
        try:
            found = await read_pending(self._kv, name)
        except StoreError as error:
            self._log.warning("KV failed", operation="read", error=str(error))
            if remembered is None:
                raise not_stored() from None
            found = None
        if found is not None:
            return self._book.pending.polls(found).login
        return remembered

    async def change(self, login: PendingLogin) -> None:
        """Writes another label or status. Raises UpstreamUnavailable if KV does not take it."""
        self._book.pending.polls(login).login = login
        try:
            await write_pending(self._kv, login, self._clock.now_ms())
        except StoreError as error:
            self._log.warning("KV failed", operation="write", error=str(error))
            raise not_stored() from None

    async def look(self, login: PendingLogin) -> Polls:
        """Polls Qwen once, if it is time for that, and waits for what comes of it."""
        polls = self._book.pending.polls(login)
        now_ms = self._clock.now_ms()
        if not polls.job.is_held(now_ms) and (
            polls.login.status == "approved" or (polls.login.status == "pending" and now_ms >= polls.next_ms)
        ):
            polls.next_ms = now_ms + int(polls.interval_seconds * 1000) - EARLY_MS
            number = polls.job.take(now_ms + LEASE_MS)
            self._runtime.background.spawn(self._run(polls, number))
        deadline_ms = now_ms + PATIENCE_MS
        while polls.job.is_held(self._clock.now_ms()) and self._clock.now_ms() < deadline_ms:
            await self._clock.sleep(LOOK_SECONDS)
        return polls

    async def _run(self, polls: Polls, number: int) -> None:
        """One poll, and what follows from it. Never raises."""
        try:
            if polls.login.status == "pending":
                await self._poll(polls)
            if polls.login.status == "approved":
                await self._finish(polls)
        except Exception as error:
            self._log.error("login job failed", exception=type(error).__name__)
        finally:
            polls.job.release(number)

    async def _poll(self, polls: Polls) -> None:
        login, now_ms = polls.login, self._clock.now_ms()
        if now_ms >= login.expires_ms:
            await self._end(polls, "expired")
            return
        outcome = await device_flow.poll(
            self._runtime.fetcher, self._oauth_base_url, login.device_code, login.verifier, now_ms
        )
        polls.trouble = ""
        if isinstance(outcome, device_flow.Approved):
            await self._keep(polls, outcome.token)
        elif isinstance(outcome, device_flow.Over):
            await self._end(polls, outcome.status)
        elif isinstance(outcome, device_flow.UnknownCode):
            await self._look_elsewhere(polls)
        else:
            polls.trouble = outcome.fault
            if outcome.fault:
                self._log.info("login not polled", reason=outcome.fault)
            if outcome.slower:
                slower = polls.interval_seconds * device_flow.SLOWER
                polls.interval_seconds = min(slower, device_flow.LONGEST_INTERVAL_SECONDS)
                polls.next_ms = self._clock.now_ms() + int(polls.interval_seconds * 1000) - EARLY_MS

    async def _keep(self, polls: Polls, token: "OAuthToken") -> None:
        """Writes the token of an approved login."""
        identity = fingerprint(token.access_token, token.refresh_token or "")
        polls.login = polls.login.ended("approved", identity)
        self._log.info("login approved", label=polls.login.label)
        await self._pool.login_source(account_of(identity, polls.login.label)).begin(
            token, identity, self._runtime, self._log
        )
        await self._write(polls.login)

    async def _finish(self, polls: Polls) -> None:
        """Makes an approved login an account, unless Qwen's API refuses it or it was cancelled."""
        identity = polls.login.identity
        if await self._is_refused(self._pool.access_of(account_of(identity, polls.login.label))):
            await self._end(polls, "closed")
        login = polls.login
        if login.status != "approved":  # or it was cancelled meanwhile
            await erase(identity, self._pool, self._runtime, self._log)
            return
        label = free_label(login.label, self._pool.labels())
        kept = KeptLogin(login.id, label, identity, login.created_s, self._clock.now_ms())
        polls.login = login._replace(status="active", label=label)
        if not await self._book.change(kept, self._runtime, self._log):
            self._log.error("login not saved", consequence="it is lost if this isolate ends now")
        self._pool.keep_up()
        if self._book.logins[login.id].is_removed:  # somewhere else, where it was still pending
            await erase(identity, self._pool, self._runtime, self._log)
            return
        await self._write(polls.login)
        self._log.info("login added", label=label)

    async def _look_elsewhere(self, polls: Polls) -> None:
        """Qwen does not know the code. Another isolate may have fetched the token, and KV not show it yet."""
        now_ms = self._clock.now_ms()
        polls.unknown_since_ms = polls.unknown_since_ms or now_ms
        polls.trouble = "unknown code"
        if now_ms >= polls.unknown_since_ms + UNKNOWN_MS:
            await self._end(polls, "expired")

    async def _end(self, polls: Polls, status: Status) -> None:
        """Notes how a login ended that is no account."""
        polls.login = polls.login.ended(status, polls.login.identity)
        self._log.info("login over", label=polls.login.label, status=status)
        await self._write(polls.login)

    async def _write(self, login: PendingLogin) -> None:
        """Writes the login's record. If KV fails, this isolate knows better, and others ask Qwen in vain."""
        try:
            await write_pending(self._kv, login, self._clock.now_ms())
        except StoreError as error:
            self._log.warning("KV failed", operation="write", error=str(error))


def not_stored() -> UpstreamUnavailable:
    """KV does not answer."""
    return UpstreamUnavailable(
        "The KV namespace with the logins does not answer. Try again.",
        code="logins_unavailable",
        status=503,
        scope="request",
    )
