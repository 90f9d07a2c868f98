"""What an isolate knows of an account's record in KV."""

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.store import StoredLogin

MOST_SPENT = 8
"""A record names so many of its successors. Those before them hold only tokens that are dead."""


class RecordView:
    """The account's record as it was last read or written. Only its own methods write it.

    `lineage` is the fingerprint of the configured login; None where the account lives in KV alone.
    """

    __slots__ = (
        "_lineage",
        "alternative",
        "descends_from",
        "foreign",
        "former_was_read",
        "is_ours",
        "is_superseded",
        "is_unreadable",
        "spent",
    )

    def __init__(self, lineage: str | None) -> None:
        self._lineage = lineage
        self.descends_from = lineage
        """What a record written by this isolate says about its origin."""
        self.is_unreadable = False
        """The last attempt to read it has failed."""
        self.is_ours = False
        """It was once seen to come from the configured login."""
        self.is_superseded = False
        """Another configured login has taken the record over since: this account no longer writes it."""
        self.foreign: StoredLogin | None = None
        """Another account's login that KV has under our key, until it is set aside."""
        self.former_was_read = False
        """The account's other key has been looked at."""
        self.alternative: OAuthToken | None = None
        """The login that was not chosen, if the record does not say which of two is newer."""
        self.spent: tuple[str, ...] = ()
        """The refresh tokens that the record says were spent last, by fingerprint."""

    def is_foreign(self, stored: StoredLogin) -> bool:
        """Whether a record comes from another login than the configured one."""
        return self._lineage is not None and stored.secret_fingerprint not in (None, self._lineage)

    def note_reading(self, *, failed: bool) -> None:
        """Notes that a record was read from KV, or could not be read."""
        self.is_unreadable = failed

    def note_own(self, stored: StoredLogin) -> None:
        """Notes that the record is this account's."""
        self.spent = _joined(stored.spent, self.spent)
        if self._lineage is None:
            self.descends_from = stored.secret_fingerprint
        else:
            self.is_ours = stored.secret_fingerprint is not None

    def note_foreign(self, stored: StoredLogin) -> bool:
        """Notes that the record is another login's. Returns whether it has just taken this account's record
        over.
        """
        self.foreign = stored
        is_news = self.is_ours and not self.is_superseded
        self.is_superseded = self.is_superseded or is_news
        return is_news

    def note_set_aside(self, stored: StoredLogin) -> None:
        """Notes that the foreign login has its own record now."""
        if self.foreign is stored:
            self.foreign = None

    def note_written(self) -> None:
        """Notes that this isolate has written the record."""
        self.is_ours = self._lineage is not None

    def record_of(self, token: OAuthToken, spent: tuple[str, ...]) -> StoredLogin:
        """The record to write for a token that came of spending these refresh tokens, by fingerprint."""
        # Remembered at once: a later attempt to write the record is not told of successors that KV has taken.
        self.spent = _joined(self.spent, spent)
        return StoredLogin(token, self.descends_from or "none", self.spent)

    def note_former_read(self) -> None:
        """Notes that the account's other key is being read, which happens once."""
        self.former_was_read = True

    def offer(self, alternative: OAuthToken) -> None:
        """Remembers a login to fall back on."""
        self.alternative = alternative

    def take_alternative(self) -> OAuthToken | None:
        """The login to fall back on, if there is one. Returns it once."""
        other, self.alternative = self.alternative, None
        return other


def _joined(older: tuple[str, ...], newer: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*older, *newer)))[-MOST_SPENT:]
