"""What an isolate remembers of its OAuth accounts, in pieces that only their own methods write.

All of it is plain data, safe to share between requests. Nothing here can be awaited: a request that waits for
another one's refresh polls.
"""

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.held_token import HeldToken, Source, due_ms
from qwen_worker.credentials.lease import Lease
from qwen_worker.credentials.record_view import RecordView
from qwen_worker.credentials.refresh_history import Discontinuation, RefreshHistory
from qwen_worker.credentials.refusals import Refusals
from qwen_worker.credentials.unsaved import Unsaved
from qwen_worker.platform.ports import FOREVER_MS

ATTENTION_PAUSE_MS = 15_000
"""While something is wrong, requests start background work no more often than this."""
REFUSED_PAUSE_MS = 75_000
"""The same while the refresh token is refused: KV is stale for up to 60 s."""


class AccountState:
    """What an isolate knows about one account. Times are in milliseconds since the epoch."""

    __slots__ = (
        "_hosts",
        "attention_at_ms",
        "discontinued",
        "held",
        "job",
        "lineage",
        "record",
        "refreshes",
        "refusals",
        "unsaved",
    )

    def __init__(self, lineage: str | None) -> None:
        self.lineage = lineage
        """The fingerprint of the configured login; None where none is configured."""
        self._hosts: tuple[str | None, ...] | None = None
        self.held = HeldToken()
        self.record = RecordView(lineage)
        self.unsaved = Unsaved()
        self.refreshes = RefreshHistory()
        self.refusals = Refusals()
        self.discontinued = Discontinuation()
        self.job = Lease()
        """The running renewal holds it. Its purpose is the access token that the API has refused, if any."""
        self.attention_at_ms = FOREVER_MS
        """The time from which on a request must start background work."""

    def call(self, *hosts: str | None) -> None:
        """Sets the configured URLs. What others have refused says nothing about these."""
        if self._hosts is not None and self._hosts != hosts:
            self.refreshes = RefreshHistory()
            self.refusals = Refusals()
            self.discontinued = Discontinuation()
        self._hosts = hosts

    def adopt(
        self, token: OAuthToken, source: Source, credential: Credential, due_at_ms: int, now_ms: int
    ) -> None:
        """Makes `token` the one that this isolate uses."""
        self.held.hold(token, source, credential, due_at_ms)
        self.refreshes.end_pause()
        self.schedule(now_ms)

    def schedule(self, now_ms: int) -> None:
        """Sets when a request that has its token must start work in the background next."""
        held = self.held
        at_ms = held.due_at_ms
        if at_ms <= now_ms:
            refused = held.token is not None and self.refusals.of(held.token) is not None
            pause_ms = REFUSED_PAUSE_MS if refused else ATTENTION_PAUSE_MS
            at_ms = max(self.refreshes.retry_at_ms, now_ms + pause_ms)
        waits_for_kv = self.record.is_unreadable and held.source == "environment"
        if self.unsaved.pending is not None or waits_for_kv:
            at_ms = min(at_ms, now_ms + ATTENTION_PAUSE_MS)
        self.attention_at_ms = at_ms

    def postpone(self, now_ms: int) -> None:
        """Notes that a request has started what is due: the next ones need not, for a while."""
        self.attention_at_ms = now_ms + ATTENTION_PAUSE_MS

    def is_promising(self, token: OAuthToken, now_ms: int) -> bool:
        """Whether a login is worth taking over: usable, or not yet refused."""
        return token.is_valid(now_ms) or (token.refresh_token is not None and self.refusals.of(token) is None)

    def is_settled(self, now_ms: int, *, unwanted: str | None = None, lead_ms: int | None = None) -> bool:
        """Whether the held token is usable, another one than `unwanted`, and not due for a refresh.

        `lead_ms` before its expiry it is due; None: when it falls due for requests.
        """
        token = self.held.token
        if token is None or token.access_token == unwanted or not token.is_valid(now_ms):
            return False
        return now_ms < (self.held.due_at_ms if lead_ms is None else due_ms(token, lead_ms))


CredentialState = dict[str, AccountState]
"""What the isolate remembers, by the key of the account's record. Outlives a new reading of the settings."""


def account_state(states: CredentialState, key: str, lineage: str | None) -> AccountState:
    """The state of the account whose record has this key.

    A changed secret gets a new state. Running jobs for the old one keep the old state.
    """
    state = states.get(key)
    if state is None or state.lineage != lineage:
        state = states[key] = AccountState(lineage)
    return state
