"""Writes KV: repeats the write of a refreshed token until KV has taken it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.job import Job
from qwen_worker.credentials.store import CorruptRecord, LoginStore
from qwen_worker.credentials.unsaved import Pending
from qwen_worker.platform.ports import StoreError

SAVE_DELAYS_SECONDS = (1.1, 2.0, 4.0, 8.0, 11.0)
"""Pauses between attempts to write a token: more than a second (KV's limit a key), less than 30 s in all."""
PATIENCE_LEASE_MS = 15_000
WRITING_LEASE_MS = 15_000
POLL_SECONDS = 0.02


class Saver:
    """The writes of one job. `Unsaved` in the account's state says what is to be written."""

    __slots__ = ("_clock", "_job", "_log", "_state", "_unsaved")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._clock = job.clock
        self._log = job.log
        self._state = job.state
        self._unsaved = job.state.unsaved

    async def keep(self, token: OAuthToken, spent: str) -> None:
        """Remembers a new token as unsaved, and tries once to write it."""
        self._unsaved.keep(token, spent, login_due=not self._state.record.is_superseded)
        await self._attempt(is_first=True)

    async def begin(self, token: OAuthToken) -> None:
        """Remembers the first token of a login as unsaved, and tries once to write it."""
        self._unsaved.replace_record(token)
        await self._attempt(is_first=True)

    async def save_with_patience(self) -> None:
        """Repeats the writes of what is unsaved, as long as background work may last."""
        unsaved, clock = self._unsaved, self._clock
        if unsaved.pending is None or unsaved.patience.is_held(clock.now_ms()):
            return
        number = unsaved.patience.take(clock.now_ms() + PATIENCE_LEASE_MS)
        for delay in SAVE_DELAYS_SECONDS:
            unsaved.patience.extend(number, clock.now_ms() + int(delay * 1000) + PATIENCE_LEASE_MS)
            await clock.sleep(delay)
            if await self._attempt(is_first=False):
                self._log.info("token saved")
                break
        else:
            self._log.error(
                "token not saved", consequence="it is lost if this isolate ends before KV works again"
            )
        unsaved.patience.release(number)
        self._state.schedule(clock.now_ms())

    async def _attempt(self, *, is_first: bool) -> bool:
        """Writes once what is unsaved, when no other attempt is under way.

        Returns whether nothing is left to write.
        """
        unsaved, clock, store = self._unsaved, self._clock, self._job.store
        while unsaved.writing.is_held(clock.now_ms()):
            await clock.sleep(POLL_SECONDS)
        if store is None:
            unsaved.drop()
        if unsaved.pending is None or store is None:
            return True
        number = unsaved.writing.take(clock.now_ms() + WRITING_LEASE_MS)
        try:
            if not is_first:
                await self._strike_off_the_outdated(unsaved.pending, store)
            await self._write(store)
        finally:
            unsaved.writing.release(number)
        return unsaved.pending is None

    async def _strike_off_the_outdated(self, pending: Pending, store: LoginStore) -> None:
        """Drops writes that are outdated: since the refresh KV may have got something newer."""
        if pending.login_due and await self._is_outdated(pending.token, store):
            self._log.info("token not written", reason="KV holds a newer one")
            self._unsaved.strike_off(pending, login=True)

    async def _is_outdated(self, token: OAuthToken, store: LoginStore) -> bool:
        """Whether KV has this token or a newer one already, or another login, which must stay."""
        held = self._state.held
        if held.source == "kv" and held.token is not None and held.token.is_newer_than(token):
            return True
        try:
            stored = await store.read()
        except (StoreError, CorruptRecord):
            return False
        if stored is None:
            return False
        record = self._state.record
        if record.is_foreign(stored):
            return record.is_ours
        return not token.is_newer_than(stored.token)

    async def _write(self, store: LoginStore) -> None:
        """One attempt at each record that is due."""
        pending = self._unsaved.pending
        if pending is None:
            return
        login = self._state.record.record_of(pending.token, pending.spent)
        login_written, *written = await asyncio.gather(
            self._try(store.write(login) if pending.login_due else None),
            *(self._try(store.write_successor(spent, login)) for spent in pending.spent),
        )
        if pending.login_due and login_written:
            self._state.record.note_written()
        done = [spent for spent, ok in zip(pending.spent, written, strict=True) if ok]
        self._unsaved.strike_off(pending, login=login_written, successors=done)

    async def _try(self, write: Coroutine[Any, Any, None] | None) -> bool:
        """Whether the write has succeeded."""
        if write is None:
            return False
        try:
            await write
        except StoreError as error:
            self._log.warning(
                "KV failed", operation="write", error=str(error), consequence="it is tried again"
            )
            return False
        return True
