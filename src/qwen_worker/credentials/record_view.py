"""What an isolate has learnt of an account's record in KV."""

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.store import StoredLogin


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
    )

    def __init__(self, lineage: str | None) -> None:
        self._lineage = lineage
        self.descends_from = lineage
        """What a record written by this isolate says about its origin."""
        self.is_unreadable = False
        """The last attempt to read it has failed."""
        self.is_ours = False
        """It was once seen to descend from the configured login."""
        self.is_superseded = False
        """Another configured login has taken the record over since: it is no longer ours to write."""
        self.foreign: StoredLogin | None = None
        """Another account's login that KV has under our key, until it is set aside."""
        self.former_was_read = False
        """The account's other key has been looked at."""
        self.alternative: OAuthToken | None = None
        """The one of two logins that was not taken, where the record does not tell which is newer."""

    def is_foreign(self, stored: StoredLogin) -> bool:
        """Whether a record descends from another login than the configured one."""
        return self._lineage is not None and stored.secret_fingerprint not in (None, self._lineage)

    def note_reading(self, *, failed: bool) -> None:
        """KV has been asked for a record."""
        self.is_unreadable = failed

    def note_own(self, stored: StoredLogin) -> None:
        """The record is this account's."""
        if self._lineage is None:
            self.descends_from = stored.secret_fingerprint
        else:
            self.is_ours = stored.secret_fingerprint is not None

    def note_foreign(self, stored: StoredLogin) -> bool:
        """The record is another login's. Whether it is the first time that one has taken ours over."""
        self.foreign = stored
        is_news = self.is_ours and not self.is_superseded
        self.is_superseded = self.is_superseded or is_news
        return is_news

    def note_set_aside(self, stored: StoredLogin) -> None:
        """The foreign login has its own record now."""
        if self.foreign is stored:
            self.foreign = None

    def note_written(self) -> None:
        """The record was written by this isolate."""
        self.is_ours = self._lineage is not None

    def note_former_read(self) -> None:
        """The account's other key is being looked at, which is done once."""
        self.former_was_read = True

    def offer(self, alternative: OAuthToken) -> None:
        """Remembers a login to fall back on."""
        self.alternative = alternative

    def take_alternative(self) -> OAuthToken | None:
        """The login to fall back on, if there is one. It is given once."""
        other, self.alternative = self.alternative, None
        return other
