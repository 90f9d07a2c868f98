"""What an isolate remembers of its credentials: plain data, safe to share between requests.

Nothing here can be awaited. A request that waits for another one's refresh polls these fields.
"""

from typing import Literal, NamedTuple

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.store import StoredLogin
from qwen_worker.platform.ports import FOREVER_MS

Source = Literal["memory", "kv", "environment"]
"""Where the token in memory came from; "memory": this isolate has refreshed it itself."""


class Refusal(NamedTuple):
    """The token endpoint's word that a refresh token is dead.

    It is `final` when no other isolate can be the one who has spent it. `since_ms` is the time of the first
    refusal, `probe_at_ms` the time from which on it is tried once more.
    """

    reason: str
    since_ms: int
    probe_at_ms: int
    final: bool = False


class Unsaved(NamedTuple):
    """A token that KV does not hold yet.

    `spent` is the fingerprint of the refresh token it came from; `login_due` and `successor_due` say which of
    the two records is still to be written.
    """

    token: OAuthToken
    spent: str
    login_due: bool
    successor_due: bool


class LastRefresh(NamedTuple):
    """What the last refresh of this isolate came to, for /health: "ok", or why not."""

    result: str
    at_ms: int


class AccountState:
    """What an isolate knows about one OAuth account. Times are in milliseconds since the epoch."""

    __slots__ = (
        "alternative",
        "attention_at_ms",
        "credential",
        "descends_from",
        "discontinued_pause_ms",
        "discontinued_until_ms",
        "due_at_ms",
        "faults",
        "foreign",
        "job",
        "job_until_ms",
        "job_unwanted",
        "kv_unreadable",
        "last_refresh",
        "lineage",
        "looked_elsewhere",
        "record_is_ours",
        "refusals",
        "retry_at_ms",
        "saving_until_ms",
        "source",
        "superseded",
        "token",
        "unsaved",
        "usable_until_ms",
    )

    def __init__(self, lineage: str | None) -> None:
        self.lineage = lineage
        """The fingerprint of the configured login; None where none is configured."""
        self.descends_from = lineage
        """What a record written by us says about its origin."""

        self.token: OAuthToken | None = None
        self.credential: Credential | None = None
        self.source: Source = "environment"
        self.alternative: OAuthToken | None = None
        """The other login, where a predecessor's record does not tell which of the two is newer."""

        self.foreign: StoredLogin | None = None
        """Another account's login that KV has under our key, until it is set aside."""
        self.looked_elsewhere = False

        self.usable_until_ms = 0
        self.due_at_ms = FOREVER_MS
        """From when on the token should be refreshed."""
        self.attention_at_ms = FOREVER_MS
        """From when on a request has to start work in the background."""

        self.job = 0
        self.job_until_ms = 0
        """0: nobody is at work; in the past: the job has died."""
        self.job_unwanted: str | None = None

        self.retry_at_ms = 0
        self.faults = 0
        self.refusals: dict[str, Refusal] = {}
        self.discontinued_until_ms = 0
        self.discontinued_pause_ms = 0
        self.last_refresh: LastRefresh | None = None

        self.unsaved: Unsaved | None = None
        self.saving_until_ms = 0
        self.kv_unreadable = False
        self.record_is_ours = False
        """KV's record was once seen to descend from our secret."""
        self.superseded = False
        """Another secret's login has taken the record over since: it is no longer ours to write."""


CredentialState = dict[str, AccountState]
"""What the isolate remembers, by the key of the account's record. Outlives a new reading of the settings."""


def account_state(states: CredentialState, key: str, lineage: str | None) -> AccountState:
    """The state of the account whose record has this key.

    A changed secret starts anew; work that is under way for the old one keeps the state that it has.
    """
    state = states.get(key)
    if state is None or state.lineage != lineage:
        state = states[key] = AccountState(lineage)
    return state
