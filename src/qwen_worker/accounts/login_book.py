"""What an isolate knows of the logins that were made at the gateway, and how it learns of changes.

The record is read in the background, by a request that finds the last reading to be READ_PAUSE_MS ago, so no
request waits for it, except in a fresh isolate that has no other account. With KV's own delay an isolate in
another place knows of a change after 90 s at most.
"""

from collections.abc import Collection

from qwen_worker.accounts.kept_logins import LOGINS_KEY, KeptLogin, Logins, newest, parsed, serialised
from qwen_worker.accounts.pending_logins import PendingMemory
from qwen_worker.config.account import DEFAULT_PRIORITIES, AccountSettings
from qwen_worker.credentials.lease import Lease
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.log import Log
from qwen_worker.platform.ports import KeyValueStore, Runtime, StoreError

READ_PAUSE_MS = 30_000
"""How long after a reading the next one begins."""
FAILED_PAUSE_MS = 2_000
"""The same after a reading that has failed."""
READING_LEASE_MS = 5_000
POLL_SECONDS = 0.02

KEPT_MS = 3_600_000
"""For so long after a change every isolate that knows of it sees to it that it is in the record."""
STALE_MS = 75_000
"""A change that is not in the record after so long was overwritten: KV is stale for up to 60 s."""

WRITE_PAUSES_SECONDS = (0.0, 1.1, 2.2)
"""Before each attempt to write: KV takes one write a second to a key."""


class LoginBook:
    """The logins as this isolate knows them. Plain data; only its own methods write it."""

    __slots__ = (
        "_knows_first_record",
        "_lease",
        "due_ms",
        "given_labels",
        "has_first_record",
        "is_read",
        "logins",
        "pending",
        "unwritten",
        "version",
    )

    def __init__(self) -> None:
        self.logins: Logins = {}
        """Those that were removed within the last day too."""
        self.version = 0
        """Rises with each change."""
        self.due_ms = 0
        """When the record is to be read next."""
        self.is_read = False
        """Whether the record was ever read."""
        self.has_first_record = False
        """Whether KV has a login of the predecessor, or of a secret that is set no longer."""
        self.pending = PendingMemory()
        self.given_labels: dict[str, tuple[str, int]] = {}
        """The labels given here to logins that were pending as far as KV showed here, and when (ms)."""
        self.unwritten: set[str] = set()
        """The logins, by id, whose last change here KV has not taken yet."""
        self._knows_first_record = False
        self._lease = Lease()

    @property
    def living(self) -> list[KeptLogin]:
        """The logins that are accounts, oldest first."""
        found = [login for login in self.logins.values() if not login.is_removed]
        return sorted(found, key=lambda login: login.created_s)

    def removed_since(self, since_ms: int) -> list[KeptLogin]:
        """The logins that were removed at that time or later."""
        return [login for login in self.logins.values() if login.is_removed and login.changed_ms >= since_ms]

    def accounts(self, configured: tuple[AccountSettings, ...]) -> tuple[AccountSettings, ...]:
        """The logins as accounts beside the configured ones. A secret wins over a login that is the same one,
        and its label over a login's.
        """
        identities = {account.identity for account in configured}
        labels = {account.label for account in configured}
        found = []
        for login in self.living:
            if login.identity in identities:
                continue
            identities.add(login.identity)
            label = free_label(login.label, labels)
            labels.add(label)
            found.append(account_of(login.identity, label))
        return tuple(found)

    async def read(self, runtime: Runtime, log: Log, *, wants_first_record: bool = False) -> list[KeptLogin]:
        """Reads the record. Returns the logins that are seen to have been removed. Never raises.

        `wants_first_record`: `has_first_record` is to be true or false from now on.
        """
        clock, kv = runtime.clock, runtime.kv
        self.due_ms = clock.now_ms() + READ_PAUSE_MS
        if kv is None:
            self.is_read = True
            return []
        number = self._lease.take(clock.now_ms() + READING_LEASE_MS)
        try:
            told = parsed(await kv.get(LOGINS_KEY))
            if wants_first_record and not self._knows_first_record:
                self.has_first_record = await kv.get(RECORD_KEY) is not None
                self._knows_first_record = True
                self.version += 1
        except StoreError as error:
            log.warning("logins not read", error=str(error))
            self.due_ms = clock.now_ms() + FAILED_PAUSE_MS
            return []
        finally:
            self._lease.release(number)
        self.is_read = True
        now_ms = clock.now_ms()
        removed = self._take(self._relabelled(newest(told, self._changed_lately(now_ms)), now_ms))
        recent = self._changed_lately(now_ms)
        self.unwritten.intersection_update(recent)
        if self.unwritten or any(_is_lost(login, told, now_ms) for login in recent.values()):
            log.info("a change of the logins is written again")
            await self._write(kv, runtime, log)
        return removed

    async def wait_for_reading(self, runtime: Runtime) -> bool:
        """Waits for another request's reading; False if there is none."""
        if not self._lease.is_held(runtime.clock.now_ms()):
            return False
        while self._lease.is_held(runtime.clock.now_ms()):
            await runtime.clock.sleep(POLL_SECONDS)
        return True

    async def change(self, login: KeptLogin, runtime: Runtime, log: Log) -> bool:
        """Makes a change, at once in this isolate. Returns whether KV has taken it."""
        self.unwritten.add(login.id)
        self._take(newest(self.logins, {login.id: login}))
        if runtime.kv is None:
            return False
        for pause in WRITE_PAUSES_SECONDS:
            if pause:
                await runtime.clock.sleep(pause)
            if await self._write(runtime.kv, runtime, log):
                return True
        return False

    async def _write(self, kv: KeyValueStore, runtime: Runtime, log: Log) -> bool:
        """Writes the record with what this isolate knows. Returns whether KV has taken it."""
        try:
            told = parsed(await kv.get(LOGINS_KEY))
            now_ms = runtime.clock.now_ms()
            merged = newest(told, self._changed_lately(now_ms))
            await kv.put(LOGINS_KEY, serialised(merged, now_ms))
        except StoreError as error:
            log.warning("logins not written", error=str(error))
            return False
        self.unwritten -= {name for name in merged if self.logins.get(name) == merged[name]}
        return True

    def _relabelled(self, logins: Logins, now_ms: int) -> Logins:
        """With the labels that were given here to logins that were accounts already, in another place."""
        for name, (label, given_ms) in list(self.given_labels.items()):
            login = logins.get(name)
            if login is None and now_ms - given_ms < KEPT_MS:
                continue
            del self.given_labels[name]
            if login is not None and not login.is_removed and login.changed_ms < given_ms:
                logins[name] = login._replace(label=label, changed_ms=given_ms)
                self.unwritten.add(name)
        return logins

    def _changed_lately(self, now_ms: int) -> Logins:
        """The logins that may not be in the record yet, or not any more: another isolate that has not seen
        them may have overwritten it.
        """
        return {login.id: login for login in self.logins.values() if now_ms - login.changed_ms < KEPT_MS}

    def _take(self, logins: Logins) -> list[KeptLogin]:
        """Makes these the known ones. Returns those among them that were not removed until now."""
        if logins == self.logins:
            return []
        before, self.logins = self.logins, logins
        self.version += 1
        return [
            login
            for login in logins.values()
            if login.is_removed and login.id in before and not before[login.id].is_removed
        ]


def _is_lost(login: KeptLogin, told: Logins, now_ms: int) -> bool:
    """Whether a change should be in the record by now, and is not."""
    return login.outranks(told.get(login.id)) and now_ms - login.changed_ms > STALE_MS


def account_of(identity: str, label: str) -> AccountSettings:
    """A login of the gateway's own as an account."""
    return AccountSettings("oauth", label, identity, DEFAULT_PRIORITIES["oauth"], is_main_login=False)


def free_label(wanted: str, taken: Collection[str]) -> str:
    """The label, or the next one like it that nobody has."""
    label, number = wanted, 2
    while label in taken:
        label, number = f"{wanted[:36]}-{number}", number + 1
    return label
