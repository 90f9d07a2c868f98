"""The token that KV does not hold yet."""

from collections.abc import Iterable
from typing import NamedTuple

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.lease import Lease

MAX_SUCCESSORS = 8
"""If KV takes no writes for long, the records of so many successors wait to be written."""


class Pending(NamedTuple):
    """What is to be written: the login's record if `login_due`, and the successor's record of each refresh
    token whose fingerprint is in `spent`. All of them get the same token.
    """

    token: OAuthToken
    spent: tuple[str, ...]
    login_due: bool


class Unsaved:
    """What KV does not hold yet of an account. Only its own methods write it.

    A token may come while an older one is being written, so what was written is removed from the current
    `pending`, never from a copy from before the write.
    """

    __slots__ = ("_is_closed", "patience", "pending", "writing")

    def __init__(self) -> None:
        self._is_closed = False
        self.pending: Pending | None = None
        self.patience = Lease()
        """The request that repeats the writes holds it, until KV has taken everything."""
        self.writing = Lease()
        """Held during each attempt: if two writes to one key ran at once, either could come last."""

    def keep(self, token: OAuthToken, spent: str, *, login_due: bool) -> None:
        """Notes that a refresh has brought `token`. It also replaces the tokens that are still unsaved."""
        if self._is_closed:
            return
        older = () if self.pending is None else self.pending.spent
        prints = dict.fromkeys((*older, spent))
        self.pending = Pending(token, tuple(prints)[-MAX_SUCCESSORS:], login_due)

    def replace_record(self, token: OAuthToken) -> None:
        """Notes that the record is corrupt: `token` is to be written, unless another one is."""
        if self.pending is None and not self._is_closed:
            self.pending = Pending(token, (), login_due=True)

    def strike_off(self, attempted: Pending, *, login: bool, successors: Iterable[str] = ()) -> None:
        """Notes what KV has taken of `attempted`: the login's record, and the successors of these
        fingerprints.
        """
        pending = self.pending
        if pending is None:
            return
        login_due = pending.login_due and not (login and pending.token == attempted.token)
        written = set(successors)
        spent = tuple(fingerprint for fingerprint in pending.spent if fingerprint not in written)
        self.pending = pending._replace(spent=spent, login_due=login_due) if login_due or spent else None

    def drop(self) -> None:
        """Forgets what is unsaved: there is no KV to write to."""
        self.pending = None

    def close(self) -> None:
        """Forgets what is unsaved, and what will be: the login was removed."""
        self._is_closed = True
        self.pending = None
