"""The refresh tokens that the token endpoint has refused."""

from typing import NamedTuple

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.store import REJECTION_LIFETIME_SECONDS
from qwen_worker.fingerprint import fingerprint

PROBE_MS = REJECTION_LIFETIME_SECONDS * 1000
"""How long after a refusal the refresh token is tried once more."""


class Refusal(NamedTuple):
    """The token endpoint's refusal of a refresh token.

    It is `final` when no other isolate can have spent the token. `since_ms` is the time of the first refusal,
    `probe_at_ms` the time from which on it is tried once more.
    """

    reason: str
    since_ms: int
    probe_at_ms: int
    final: bool = False


class Refusals:
    """The refusals of one account, by the fingerprint of the refresh token.

    Only its own methods write them.
    """

    __slots__ = ("_by_spent",)

    def __init__(self) -> None:
        self._by_spent: dict[str, Refusal] = {}

    def of(self, token: OAuthToken) -> Refusal | None:
        """What the token endpoint has said about this token's refresh token."""
        return self._by_spent.get(fingerprint(token.refresh_token or ""))

    def get(self, spent: str) -> Refusal | None:
        """The same, by fingerprint."""
        return self._by_spent.get(spent)

    def note(self, spent: str, reason: str, now_ms: int) -> None:
        """Notes that the endpoint has refused the token, for the first time or again."""
        earlier = self._by_spent.get(spent)
        since_ms = now_ms if earlier is None else earlier.since_ms
        self._by_spent[spent] = Refusal(reason, since_ms, now_ms + PROBE_MS)

    def recall(self, spent: str, now_ms: int) -> None:
        """Notes another isolate's refusal, read from KV. A refusal that this isolate has seen stays."""
        self._by_spent.setdefault(spent, Refusal("refused earlier", now_ms, now_ms + PROBE_MS, final=True))

    def confirm(self, spent: str) -> None:
        """Makes a refusal final."""
        self._by_spent[spent] = self._by_spent[spent]._replace(final=True)

    def forget(self, spent: str) -> None:
        """Forgets the refusal: the token has worked after all."""
        self._by_spent.pop(spent, None)
