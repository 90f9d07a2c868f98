"""Which logins were made at the gateway itself: one KV record.

    qwen_logins   {"logins": {<id>: {"label", "identity", "created" (s), "changed" (ms), "removed"?}}}

It holds no token: each login has its own record, under the key of its identity (`credentials.store`). KV
keeps the last write, and a place may see a record that is 60 s old, so two changes could undo each other. So
each login has the time of its last change, the newest version counts, and a removed login stays in the record
for a day as removed.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from qwen_worker.config.labels import is_label
from qwen_worker.json_text import parse_object

LOGINS_KEY = "qwen_logins"

UNKNOWN = "unknown"
"""The identity of a login that was removed where it was not known to be an account."""

REMOVED_MS = 86_400_000
"""So long a removed login stays in the record."""


class KeptLogin(NamedTuple):
    """A login that was made at the gateway."""

    id: str
    label: str
    identity: str
    """The fingerprint of its first tokens: the key of its record, as for a login of a secret."""
    created_s: int
    """Seconds since the Unix epoch."""
    changed_ms: int
    """Milliseconds since the Unix epoch."""
    is_removed: bool = False

    def outranks(self, other: "KeptLogin | None") -> bool:
        """Whether this version counts and not the other. A removal is final: ids are not used again."""
        if other is None:
            return True
        return (self.is_removed, self.changed_ms) > (other.is_removed, other.changed_ms)


Logins = dict[str, KeptLogin]
"""By id."""


def newest(*known: Mapping[str, KeptLogin]) -> Logins:
    """Of each login the newest version."""
    found: Logins = {}
    for logins in known:
        for login in logins.values():
            held = found.get(login.id)
            version, other = (login, held) if login.outranks(held) else (held or login, login)
            if version.identity == UNKNOWN and other is not None:
                version = version._replace(identity=other.identity)
            found[login.id] = version
    return found


def serialised(logins: Mapping[str, KeptLogin], now_ms: int) -> str:
    """The record's text, without what was removed long ago."""
    return json.dumps(
        {
            "logins": {
                login.id: {
                    "label": login.label,
                    "identity": login.identity,
                    "created": login.created_s,
                    "changed": login.changed_ms,
                    **({"removed": True} if login.is_removed else {}),
                }
                for login in logins.values()
                if not login.is_removed or now_ms - login.changed_ms < REMOVED_MS
            }
        }
    )


def parsed(text: str | None) -> Logins:
    """The logins of a record. What is no login is left out."""
    record = parse_object(text or "") or {}
    members = record.get("logins")
    found = [_login(*member) for member in members.items()] if isinstance(members, dict) else []
    return {login.id: login for login in found if login is not None}


def _login(name: str, fields: Any) -> KeptLogin | None:
    if not isinstance(fields, dict):
        return None
    label, identity = fields.get("label"), fields.get("identity")
    created, changed = fields.get("created"), fields.get("changed")
    if not (isinstance(label, str) and is_label(label) and isinstance(identity, str) and identity.isalnum()):
        return None
    if not (isinstance(created, int) and isinstance(changed, int)):
        return None
    return KeptLogin(name, label, identity, created, changed, fields.get("removed") is True)
