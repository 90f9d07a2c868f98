"""What is in QWEN_KV, its keys and its JSON.

    qwen_oauth_credentials                    the login: the CLI's `oauth_creds.json`, `refreshed_at` (ms) and
                                              `secret_fingerprint`: the QWEN_CLI_AUTH it descends from
    qwen_oauth_credentials:successor:<print>  the login that came of spending the refresh token with that
                                              fingerprint
    qwen_oauth_credentials:rejected           the fingerprint of the refresh token that Qwen refuses for good

KV caches each key in each place for up to 60 s, so a gateway that has lost the race for a refresh token may
go on reading the old login there. The key of the successor is new with every rotation: nobody has read it
before, so no place holds a stale value of it, and the loser finds the winner's login within seconds. It also
keeps a login findable whose main record was overwritten by last-write-wins.
"""

import json
from typing import NamedTuple

from qwen_worker.credentials.model import CredentialFormatError, OAuthToken, oauth_token_from
from qwen_worker.platform.ports import KeyValueStore

SUCCESSOR_LIFETIME_SECONDS = 30 * 86_400
REJECTION_LIFETIME_SECONDS = 3_600
"""After this long a refused login is tried once again: the endpoint itself may have been wrong."""


class CorruptRecord(Exception):
    """A stored login cannot be read. The message names the field, never a value."""


class StoredLogin(NamedTuple):
    """A login as KV holds it. `secret_fingerprint` is None in a record that the predecessor has written."""

    token: OAuthToken
    secret_fingerprint: str | None


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
        await self._kv.put(self._key, _serialised(login))

    async def read_successor(self, spent: str) -> StoredLogin | None:
        """What came of spending the refresh token with the fingerprint `spent`. Raises CorruptRecord."""
        return _parsed(await self._kv.get(self._successor_key(spent)))

    async def write_successor(self, spent: str, login: StoredLogin) -> None:
        """Leaves the login where those find it who come too late with the spent refresh token."""
        await self._kv.put(
            self._successor_key(spent),
            _serialised(login),
            expiration_ttl_seconds=SUCCESSOR_LIFETIME_SECONDS,
        )

    async def read_rejection(self) -> str | None:
        """The fingerprint of the refresh token that was refused for good within the last hour, if any."""
        return await self._kv.get(f"{self._key}:rejected")

    async def write_rejection(self, refused: str) -> None:
        """Remembers a dead refresh token for the isolates to come."""
        await self._kv.put(
            f"{self._key}:rejected", refused, expiration_ttl_seconds=REJECTION_LIFETIME_SECONDS
        )

    def _successor_key(self, spent: str) -> str:
        return f"{self._key}:successor:{spent}"


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
        }
    )


def _parsed(text: str | None) -> StoredLogin | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
        token = oauth_token_from(value)
    except CredentialFormatError as error:
        raise CorruptRecord(str(error)) from None
    except (ValueError, RecursionError):
        raise CorruptRecord("expected a JSON object") from None
    refreshed_at = value.get("refreshed_at")
    descends_from = value.get("secret_fingerprint")
    return StoredLogin(
        token._replace(refreshed_at_ms=refreshed_at if isinstance(refreshed_at, int) else None),
        descends_from if isinstance(descends_from, str) else None,
    )
