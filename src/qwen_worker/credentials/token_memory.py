"""The token an isolate holds: where it comes from, when it falls due, and how KV gets to know of it.

KV's record and the configured login compete for a fresh isolate's memory; later the record of another isolate
may be better than what is in memory, or older (KV is stale for up to 60 s), or belong to another secret. A
token that a refresh has brought is kept as `unsaved` until KV holds it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from qwen_worker.config.login import OAuthToken, oauth_api_base_url, usable_resource_url
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.state import AccountState, Refusal, Source, Unsaved
from qwen_worker.credentials.store import CorruptRecord, LoginStore, StoredLogin
from qwen_worker.fingerprint import fingerprint
from qwen_worker.log import Log
from qwen_worker.platform.ports import FOREVER_MS, Runtime, StoreError

YOUTH = 0.15
"""The part of a token's life in which it is not refreshed, however long the lead time."""

ATTENTION_PAUSE_MS = 15_000
"""How soon the background work of a request is followed by that of the next one, while something is amiss."""
REFUSED_PAUSE_MS = 75_000
"""The same while the refresh token is refused: KV is stale for up to 60 s."""

SAVE_DELAYS_SECONDS = (1.1, 2.0, 4.0, 8.0, 11.0)
"""Pauses between attempts to write a token: more than a second (KV's limit a key), less than 30 s in all."""
SAVING_LEASE_MS = 15_000


class TokenMemory:
    """The token of one account in this isolate. Its data is in `state`; this holds the settings it works by.

    `login` is the configured one, None where the account lives in KV alone. `base_url` is where to call in
    any case; `fallback_base_url` serves where a login names no host. `is_alone`: there is no other login.
    """

    def __init__(
        self,
        login: OAuthToken | None,
        state: AccountState,
        *,
        record_key: str,
        fallback_base_url: str | None,
        lead_seconds: float,
        base_url: str | None = None,
        is_alone: bool = True,
    ) -> None:
        self.login = login
        self.state = state
        self._record_key = record_key
        self._is_alone = is_alone
        self._base_url = base_url
        self._fallback_base_url = fallback_base_url
        self._lead_ms = int(lead_seconds * 1000)
        if state.token is not None:
            state.credential = self._credential(state.token)

    def store(self, runtime: Runtime) -> LoginStore | None:
        """The account's records; None where KV is not bound."""
        return None if runtime.kv is None else LoginStore(runtime.kv, self._record_key)

    def refusal_of(self, token: OAuthToken) -> Refusal | None:
        """What the token endpoint has said about this token's refresh token."""
        return self.state.refusals.get(fingerprint(token.refresh_token or ""))

    def is_promising(self, token: OAuthToken, now: int) -> bool:
        """Whether a login is worth taking over: usable, or not yet refused."""
        return token.is_valid(now) or (token.refresh_token is not None and self.refusal_of(token) is None)

    def is_settled(self, now: int, *, unwanted: str | None = None, soon: bool = False) -> bool:
        """Whether the token is usable, another one than `unwanted`, and not due for a refresh.

        `soon`: nor before the cron trigger fires next, which comes long before requests find the token due.
        """
        token = self.state.token
        if token is None or token.access_token == unwanted or not token.is_valid(now):
            return False
        return now < (self._due_ms(token, 2 * self._lead_ms) if soon else self.state.due_at_ms)

    def schedule(self, now: int) -> None:
        """Sets when the hot path has to start work in the background next."""
        state = self.state
        at_ms = state.due_at_ms
        if at_ms <= now:
            refused = state.token is not None and self.refusal_of(state.token) is not None
            at_ms = max(state.retry_at_ms, now + (REFUSED_PAUSE_MS if refused else ATTENTION_PAUSE_MS))
        if state.unsaved is not None or (state.kv_unreadable and state.source == "environment"):
            at_ms = min(at_ms, now + ATTENTION_PAUSE_MS)
        state.attention_at_ms = at_ms

    # From KV into memory

    async def look(self, runtime: Runtime, log: Log) -> None:
        """Reads KV's record and takes its login over if it is better than the one in memory."""
        state, store = self.state, self.store(runtime)
        corrupt = False
        if store is not None:
            try:
                stored = await self._read(store, runtime)
                state.kv_unreadable = False
                if stored is not None:
                    self._consider(stored, runtime, log)
            except CorruptRecord as error:
                corrupt = True
                state.kv_unreadable = False
                log.warning("stored login is corrupt", problem=str(error), consequence="it will be replaced")
            except StoreError as error:
                state.kv_unreadable = True
                log.warning("KV failed", operation="read", error=str(error))
        if state.token is None and self.login is not None:
            self.adopt(self.login, "environment", runtime, log)
        if corrupt and state.unsaved is None and state.token is not None:
            state.unsaved = Unsaved(state.token, "", login_due=True, successor_due=False)

    async def look_elsewhere(self, runtime: Runtime, log: Log) -> bool:
        """Before the configured refresh token is spent: the account's record may be under its other key.

        Whether it was there. Also sets the login of another account aside that is under ours.
        """
        state, store = self.state, self.store(runtime)
        if state.looked_elsewhere or store is None or state.lineage is None:
            return False
        state.looked_elsewhere = True
        found: StoredLogin | None = None
        try:
            found = await store.read_former(state.lineage)
            if state.foreign is not None:
                await store.set_aside(state.foreign)
                state.foreign = None
        except (StoreError, CorruptRecord) as error:
            log.warning("KV failed", operation="move", error=str(error))
        if found is None or not self.is_promising(found.token, runtime.clock.now_ms()):
            return False
        log.info("login found under its former key")
        self.adopt(found.token, "kv", runtime, log)
        return True

    async def _read(self, store: LoginStore, runtime: Runtime) -> StoredLogin | None:
        """Reads the record; a failing KV gets a second chance."""
        try:
            return await store.read()
        except StoreError:
            await runtime.clock.sleep(0.1 + 0.2 * runtime.random())
            return await store.read()

    def _consider(self, stored: StoredLogin, runtime: Runtime, log: Log) -> None:
        """Takes over KV's login, unless it belongs to another secret or is older than what we have."""
        state, now = self.state, runtime.clock.now_ms()
        if self._is_foreign(stored):
            state.foreign = stored
            if state.record_is_ours and not state.superseded:
                state.superseded = True
                log.warning("another login has taken over the record", consequence="it is not written here")
            return
        if state.lineage is None:
            state.descends_from = stored.secret_fingerprint
        else:
            state.record_is_ours = stored.secret_fingerprint is not None
        current = state.token
        if current is None:
            self._choose_first(stored, runtime, log)
        elif self._is_better(stored.token, current, now):
            log.info("another isolate has refreshed", found_in="record")
            self.adopt(stored.token, "kv", runtime, log)

    def _choose_first(self, stored: StoredLogin, runtime: Runtime, log: Log) -> None:
        """KV or the environment, in a fresh isolate.

        A predecessor's record does not tell its origin: beside other logins it may be the one of those.
        """
        login = self.login
        if login is None or stored.secret_fingerprint is not None:
            self.adopt(stored.token, "kv", runtime, log)
        elif self._is_alone and stored.token.is_newer_than(login):
            self.adopt(stored.token, "kv", runtime, log)
            self.state.alternative = login
        else:
            self.adopt(login, "environment", runtime, log)
            self.state.alternative = stored.token

    def _is_better(self, stored: OAuthToken, current: OAuthToken, now: int) -> bool:
        """Whether KV's login should replace the one in memory."""
        if stored.access_token == current.access_token or not self.is_promising(stored, now):
            return False
        if current.is_valid(now):
            return stored.is_valid(now) and stored.is_newer_than(current)
        dead = current.refresh_token is None or self.refusal_of(current) is not None
        return dead or stored.is_valid(now) or stored.is_newer_than(current)

    def _is_foreign(self, stored: StoredLogin) -> bool:
        """Whether the record descends from another secret than the one that is configured."""
        return self.state.lineage is not None and stored.secret_fingerprint not in (None, self.state.lineage)

    def adopt(self, token: OAuthToken, source: Source, runtime: Runtime, log: Log) -> None:
        """Makes `token` the one that this isolate uses."""
        state, now = self.state, runtime.clock.now_ms()
        if token.resource_url is not None and usable_resource_url(token.resource_url) is None:
            log.warning("resource_url of the login is not usable", consequence="the next base URL is used")
        state.token = token
        state.source = source
        state.credential = self._credential(token)
        state.usable_until_ms = token.usable_until_ms
        # Isolates that hold the same token must not fall due at the same moment: few are early, so that the
        # first one's refresh is visible to the others when their time comes.
        early_ms = int(self._lead_ms / 2 * (1 - runtime.random() ** (1 / 3)))
        state.due_at_ms = self._due_ms(token, self._lead_ms + early_ms)
        state.retry_at_ms = 0
        state.faults = 0
        self.schedule(now)

    def _credential(self, token: OAuthToken) -> Credential:
        base_url = self._base_url or oauth_api_base_url(token.resource_url, self._fallback_base_url)
        return Credential("oauth", token.access_token, base_url)

    def _due_ms(self, token: OAuthToken, lead_ms: int) -> int:
        """When to refresh this token: `lead_ms` before its expiry, but not in the first part of its life."""
        if token.expiry_date_ms is None or token.refresh_token is None:
            return FOREVER_MS
        due_ms = token.expiry_date_ms - lead_ms
        if token.refreshed_at_ms is None:
            return due_ms
        lifetime_ms = token.expiry_date_ms - token.refreshed_at_ms
        return max(due_ms, token.refreshed_at_ms + int(lifetime_ms * YOUTH))

    # From memory into KV

    async def keep(self, token: OAuthToken, spent: str, runtime: Runtime, log: Log) -> None:
        """Holds on to a rotated token: in memory at once, in KV before anyone uses it."""
        state = self.state
        state.unsaved = Unsaved(token, spent, login_due=not state.superseded, successor_due=True)
        await self._save(runtime, log)
        self.adopt(token, "memory", runtime, log)

    async def _save(self, runtime: Runtime, log: Log, *, again: bool = False) -> bool:
        """One attempt to write what is unsaved; a later one (`again`) checks that KV holds nothing newer.

        Returns whether nothing is left to write.
        """
        state, store, unsaved = self.state, self.store(runtime), self.state.unsaved
        if unsaved is None or store is None:
            state.unsaved = None
            return True
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
                log.warning("KV failed", operation="write", error=str(error), consequence="it is tried again")
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
            return self.state.record_is_ours
        return not token.is_newer_than(stored.token)

    async def save_with_patience(self, runtime: Runtime, log: Log) -> None:
        """Goes on writing what is unsaved, as long as background work may last."""
        state, clock = self.state, runtime.clock
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
        self.schedule(clock.now_ms())
