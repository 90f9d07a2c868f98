"""Logins that the user has not approved yet: a KV record each, which expires, and what an isolate remembers.

    qwen_logins:pending:<id>   its label, what the user gets to see, its status; and as long as it is pending
                               the device code and PKCE's verifier

An isolate remembers when it may poll next, so that polling writes nothing.
"""

import json
from typing import Literal, NamedTuple

from qwen_worker.credentials.lease import Lease
from qwen_worker.json_text import parse_object
from qwen_worker.platform.ports import KeyValueStore

PENDING_KEY = "qwen_logins:pending:"
KEPT_SECONDS = 900
"""How much longer than its device code the record of a login lives, to tell how it ended."""

MOST_REMEMBERED = 50

Status = Literal["pending", "approved", "active", "denied", "expired", "closed", "cancelled"]
"""approved: the token is in KV, and the login is not an account yet."""


class PendingLogin(NamedTuple):
    """A login from its beginning until it is an account, or over. Times since the Unix epoch."""

    id: str
    label: str
    created_s: int
    expires_ms: int
    """When the device code ends."""
    status: Status = "pending"
    user_code: str = ""
    verification_uri: str = ""
    verification_uri_complete: str = ""
    interval_seconds: float = 2.0
    device_code: str = ""
    verifier: str = ""
    identity: str = ""
    """The login's fingerprint, once its token is there."""

    def __repr__(self) -> str:
        return f"PendingLogin(id={self.id!r}, status={self.status!r})"

    def ended(self, status: Status, identity: str = "") -> "PendingLogin":
        """The same login without its codes."""
        return PendingLogin(self.id, self.label, self.created_s, self.expires_ms, status, identity=identity)


class Polls:
    """When a login may be polled, and what came of it. Only `device_login` writes it."""

    __slots__ = ("interval_seconds", "job", "login", "next_ms", "trouble", "unknown_since_ms")

    def __init__(self, login: PendingLogin) -> None:
        self.login = login
        """As this isolate knows it."""
        self.interval_seconds = login.interval_seconds
        self.next_ms = 0
        self.job = Lease()
        """Held while the login is polled."""
        self.trouble = ""
        """Why Qwen could not answer the last poll."""
        self.unknown_since_ms = 0
        """When Qwen first did not know the device code."""


class PendingMemory:
    """What an isolate remembers of pending logins."""

    __slots__ = ("_polls",)

    def __init__(self) -> None:
        self._polls: dict[str, Polls] = {}

    def polls(self, login: PendingLogin) -> Polls:
        """The polls of a login, which KV has like this."""
        polls = self._polls.get(login.id)
        if polls is None:
            polls = self._polls[login.id] = Polls(login)
            if len(self._polls) > MOST_REMEMBERED:
                del self._polls[next(iter(self._polls))]
        elif polls.login.status == "pending" or login.status != "pending":
            polls.login = login  # otherwise KV is behind what this isolate knows
        return polls

    def remembered(self, name: str) -> PendingLogin | None:
        """A login that this isolate has seen before."""
        polls = self._polls.get(name)
        return None if polls is None else polls.login

    def labels(self, now_ms: int) -> set[str]:
        """The labels that pending logins will have."""
        return {
            polls.login.label
            for polls in self._polls.values()
            if polls.login.status in ("pending", "approved") and now_ms < polls.login.expires_ms
        }


async def read_pending(kv: KeyValueStore, name: str) -> PendingLogin | None:
    """The record of a login; None if there is none that can be read. Raises StoreError."""
    record = parse_object(await kv.get(PENDING_KEY + name) or "")
    try:
        return None if record is None else PendingLogin(**{**record, "id": name})
    except TypeError:
        return None


async def write_pending(kv: KeyValueStore, login: PendingLogin, now_ms: int) -> None:
    """Writes the record of a login. Raises StoreError."""
    lifetime_seconds = max(60, (login.expires_ms - now_ms) // 1000 + KEPT_SECONDS)
    fields = login._asdict()
    del fields["id"]
    await kv.put(PENDING_KEY + login.id, json.dumps(fields), expiration_ttl_seconds=lifetime_seconds)
