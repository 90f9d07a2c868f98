"""Reads KV: finds an account's best login in its records.

KV's record and the configured login compete for a fresh isolate's memory; later the record of another isolate
may be better than what is in memory, or older (KV is stale for up to 60 s), or belong to another login.
"""

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.job import Job
from qwen_worker.credentials.store import CorruptRecord, LoginStore, StoredLogin
from qwen_worker.platform.ports import StoreError


class KvLook:
    """The reads of one job."""

    __slots__ = ("_job", "_log", "_login", "_record", "_state")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._log = job.log
        self._login = job.settings.login
        self._state = job.state
        self._record = job.state.record

    async def look(self) -> None:
        """Reads the account's record and takes its login over if it is better than the one in memory."""
        state, corrupt = self._state, False
        if self._job.store is not None:
            try:
                stored = await self._read(self._job.store)
                self._record.note_reading(failed=False)
                if stored is not None:
                    self._consider(stored)
            except CorruptRecord as error:
                corrupt = True
                self._record.note_reading(failed=False)
                self._log.warning(
                    "stored login is corrupt", problem=str(error), consequence="it will be replaced"
                )
            except StoreError as error:
                self._record.note_reading(failed=True)
                self._log.warning("KV failed", operation="read", error=str(error))
        if state.held.token is None and self._login is not None:
            self._job.adopt(self._login, "environment")
        if corrupt and state.held.token is not None:
            state.unsaved.replace_record(state.held.token)

    async def look_at_former_key(self) -> bool:
        """Before the configured refresh token is spent: the account's record may be under its other key.

        Also gives another account's login, found under our key, a record of its own. Returns whether there
        is another token in memory now.
        """
        state, record, store = self._state, self._record, self._job.store
        if record.former_was_read or store is None or state.lineage is None:
            return False
        record.note_former_read()
        token, found = state.held.token, None
        try:
            found = await store.read_former(state.lineage)
            foreign = record.foreign
            if foreign is not None:
                await store.set_aside(foreign)
                record.note_set_aside(foreign)
        except (StoreError, CorruptRecord) as error:
            self._log.warning("KV failed", operation="move", error=str(error))
        if state.held.token is not token:
            return True
        if found is None or not self._is_promising(found.token):
            return False
        self._log.info("login found under its former key")
        self._job.adopt(found.token, "kv")
        return True

    async def find_other(self, spent: str, token: OAuthToken) -> bool:
        """After a refusal of `token`, whose refresh token has the fingerprint `spent`: takes over the login
        that another isolate got for it, or else the login to fall back on.

        Returns whether there is another token in memory now.
        """
        found = await self._successor(spent)
        if self._state.held.token is not token:
            return True
        if found is not None and found.access_token != token.access_token and self._is_promising(found):
            self._log.info("another isolate has refreshed", found_in="successor")
            self._job.adopt(found, "kv")
            return True
        other = self._record.take_alternative()
        if other is None or not self._is_promising(other):
            return False
        self._log.warning("the other login is tried", reason="KV's record does not tell its origin")
        self._job.adopt(other, "environment" if other == self._login else "kv")
        return True

    async def recall_refusal(self, spent: str) -> None:
        """Takes over an earlier isolate's note that this refresh token is dead."""
        if self._job.store is None:
            return
        try:
            refused = await self._job.store.read_rejection()
        except StoreError as error:
            self._log.warning("KV failed", operation="read", error=str(error))
            return
        if refused == spent:
            self._state.refusals.recall(spent, self._job.clock.now_ms())

    async def _read(self, store: LoginStore) -> StoredLogin | None:
        """The record; a failing KV gets a second chance."""
        try:
            return await store.read()
        except StoreError:
            await self._job.clock.sleep(0.1 + 0.2 * self._job.runtime.random())
            return await store.read()

    async def _successor(self, spent: str) -> OAuthToken | None:
        if self._job.store is None:
            return None
        try:
            found = await self._job.store.read_successor(spent)
        except (StoreError, CorruptRecord) as error:
            self._record.note_reading(failed=True)
            self._log.warning("KV failed", operation="read", error=str(error))
            return None
        return None if found is None else found.token

    def _consider(self, stored: StoredLogin) -> None:
        """Takes over KV's login, unless it belongs to another one or is older than what we have."""
        if self._record.is_foreign(stored):
            if self._record.note_foreign(stored):
                self._log.warning(
                    "another login has taken over the record", consequence="it is not written here"
                )
            return
        self._record.note_own(stored)
        current = self._state.held.token
        if current is None:
            self._choose_first(stored)
        elif self._is_better(stored.token, current):
            self._log.info("another isolate has refreshed", found_in="record")
            self._job.adopt(stored.token, "kv")

    def _choose_first(self, stored: StoredLogin) -> None:
        """KV or the environment, in a fresh isolate.

        A record that the predecessor has written does not say which login it is from. If other logins are
        configured, it may be from one of them.
        """
        login = self._login
        if login is None or stored.secret_fingerprint is not None:
            self._job.adopt(stored.token, "kv")
        elif self._job.settings.is_alone and stored.token.is_newer_than(login):
            self._job.adopt(stored.token, "kv")
            self._record.offer(login)
        else:
            self._job.adopt(login, "environment")
            self._record.offer(stored.token)

    def _is_better(self, stored: OAuthToken, current: OAuthToken) -> bool:
        """Whether KV's login should replace the one in memory."""
        now = self._job.clock.now_ms()
        if stored.access_token == current.access_token or not self._is_promising(stored):
            return False
        if current.is_valid(now):
            return stored.is_valid(now) and stored.is_newer_than(current)
        dead = current.refresh_token is None or self._state.refusals.of(current) is not None
        return dead or stored.is_valid(now) or stored.is_newer_than(current)

    def _is_promising(self, token: OAuthToken) -> bool:
        return self._state.is_promising(token, self._job.clock.now_ms())
