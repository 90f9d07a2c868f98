"""What is in QWEN_KV, its keys and its JSON.

    qwen_oauth_credentials                    the first login of QWEN_CLI_AUTH: the CLI's `oauth_creds.json`,
                                              `refreshed_at` (ms), and `secret_fingerprint`: the fingerprint
                                              of the configured login that it descends from
    qwen_oauth_credentials:account:<print>    each other login, under that fingerprint
    qwen_oauth_credentials:successor:<print>  the login that came of spending the refresh token with that
                                              fingerprint
    <key of the login>:rejected               the fingerprint of the refresh token that Qwen refuses for good

A record's `spent` has the fingerprints under which its latest successors are.

KV caches each key in each place for up to 60 s, so an isolate whose refresh token another one has spent may
go on reading the old login there. The key of the successor is new with every refresh, so no place has cached
an old value of it, and the isolate finds the other one's login within seconds. Successors also lead to a
login whose own record was overwritten (KV keeps the last write).

When the operator makes another login the first one, a record may still be under the other of a login's keys.
"""

import json
from typing import NamedTuple

from qwen_worker.config.login import CredentialFormatError, OAuthToken, oauth_token_from
from qwen_worker.fingerprint import fingerprint
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.platform.ports import KeyValueStore

RECORD_KEY = "qwen_oauth_credentials"
"""Where KV holds the first login of QWEN_CLI_AUTH, the same key as the predecessor's."""

ACCOUNT_LIFETIME_SECONDS = 90 * 86_400
"""After this long KV drops the record of a login that is no longer configured. Each refresh writes the others
anew.
"""
SUCCESSOR_LIFETIME_SECONDS = 30 * 86_400
REJECTION_LIFETIME_SECONDS = 3_600
"""After this long a refused login is tried once again: the endpoint itself may have been wrong."""


class CorruptRecord(Exception):
    """A stored login cannot be read. The message names the field, never a value."""


class StoredLogin(NamedTuple):
    """A login as KV holds it. `secret_fingerprint` is None in a record that the predecessor has written."""

    token: OAuthToken
    secret_fingerprint: str | None
    spent: tuple[str, ...] = ()
    """The fingerprints of the refresh tokens that were spent last: the keys of its latest successors."""

    @property
    def successors(self) -> set[str]:
        """The keys of the successors that may hold a token that works. One is of this login's own refresh
        token: another isolate may have spent it, and KV may not show its record here yet.
        """
        own = self.token.refresh_token
        return {*self.spent} if own is None else {*self.spent, fingerprint(own)}


def account_key(lineage: str) -> str:
    """The key of a login that is not the first one; `lineage` is the fingerprint of the configured login."""
    return f"{RECORD_KEY}:account:{lineage}"


class LoginStore:
    """The records of one account. Every method raises StoreError when KV fails."""

    __slots__ = ("_key", "_kv")

    def __init__(self, kv: KeyValueStore, key: str) -> None:
        self._kv = kv
        self._key = key

    async def read(self) -> StoredLogin | None:
        """The login, up to 60 s stale. Raises CorruptRecord."""
        return _parsed(await self._kv.get(self._key))

    async def write(self, login: StoredLogin) -> None:
        """Replaces the login."""
        if self._key == RECORD_KEY:
            await self._kv.put(self._key, _serialised(login))
        else:
            await self._kv.put(self._key, _serialised(login), expiration_ttl_seconds=ACCOUNT_LIFETIME_SECONDS)

    async def read_former(self, lineage: str) -> StoredLogin | None:
        """The login under the account's other key, from before it became the first login or ceased to be it.

        Raises CorruptRecord.
        """
        other_key = account_key(lineage) if self._key == RECORD_KEY else RECORD_KEY
        found = _parsed(await self._kv.get(other_key))
        return found if found is not None and found.secret_fingerprint == lineage else None

    async def set_aside(self, login: StoredLogin) -> None:
        """Keeps another account's login that is about to be overwritten, unless KV has a newer one of it."""
        aside = LoginStore(self._kv, account_key(login.secret_fingerprint or ""))
        present = await aside.read()
        if present is None or login.token.is_newer_than(present.token):
            await aside.write(login)

    async def read_successor(self, spent: str) -> StoredLogin | None:
        """The login that replaced the refresh token with the fingerprint `spent`. Raises CorruptRecord."""
        return _parsed(await self._kv.get(self._successor_key(spent)))

    async def write_successor(self, spent: str, login: StoredLogin) -> None:
        """Writes the login where isolates with the spent refresh token find it."""
        await self._kv.put(
            self._successor_key(spent),
            _serialised(login),
            expiration_ttl_seconds=SUCCESSOR_LIFETIME_SECONDS,
        )

    async def erase(self, known: StoredLogin | None) -> None:
        """Deletes everything that holds a token of the login that still works: the record, and the successors
        of the login as KV shows it and as it is `known` to the caller.
        """
        try:
            stored = await self.read()
        except CorruptRecord:
            stored = None
        successors = {name for login in (known, stored) if login is not None for name in login.successors}
        for spent in successors:
            await self._kv.delete(self._successor_key(spent))
        await self._kv.delete(f"{self._key}:rejected")
        await self._kv.delete(self._key)

    async def read_rejection(self) -> str | None:
        """The fingerprint of the refresh token that was refused for good within the last hour, if any."""
        return await self._kv.get(f"{self._key}:rejected")

    async def write_rejection(self, refused: str) -> None:
        """Writes a dead refresh token's fingerprint for later isolates."""
        await self._kv.put(
            f"{self._key}:rejected", refused, expiration_ttl_seconds=REJECTION_LIFETIME_SECONDS
        )

    def _successor_key(self, spent: str) -> str:
        return f"{RECORD_KEY}:successor:{spent}"


def _serialised(login: StoredLogin) -> str:
    token = login.token
    return json.dumps(
        {
            "access_token": token.access_token,
            "refresh_token": token.refresh_token,
            "token_type": token.token_type,
            "resource_url": token.resource_url,
            "expiry_date": token.expiry_date_ms,
            "refreshed_at": token.refreshed_at_ms,
            "secret_fingerprint": login.secret_fingerprint,
            **({"spent": login.spent} if login.spent else {}),
        }
    )


def _parsed(text: str | None) -> StoredLogin | None:
    if text is None:
        return None
    try:
        value = parse(text)
        token = oauth_token_from(value)
    except CredentialFormatError as error:
        raise CorruptRecord(str(error)) from None
    except JsonTextError:
        raise CorruptRecord("expected a JSON object") from None
    refreshed_at = value.get("refreshed_at")
    descends_from = value.get("secret_fingerprint")
    spent = value.get("spent")
    return StoredLogin(
        token._replace(refreshed_at_ms=refreshed_at if isinstance(refreshed_at, int) else None),
        descends_from if isinstance(descends_from, str) else None,
        tuple(name for name in spent if isinstance(name, str)) if isinstance(spent, list) else (),
    )
