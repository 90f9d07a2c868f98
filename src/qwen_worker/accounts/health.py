"""What an isolate remembers of its accounts: plain data, safe to share between requests.

Nothing here can be awaited, and nothing waits for ever for a request to be heard of again: a client that
hangs up takes its request with it, and no `finally` runs.
"""

from typing import Any

from qwen_worker.accounts.cooldowns import Cooldown, cooldown_after
from qwen_worker.errors import ProxyError

WHOLE_ACCOUNT = ""
"""The place of a rest that is not about one model."""

MOST_MODELS = 50
"""Rests for more models than these push the oldest ones out: names of models come from clients."""

MOST_CONVERSATIONS = 1000

LOST_MS = 30_000
"""A conversation whose last request has not been answered for so long has lost it."""


class Conversation:
    """Which account a conversation is with, and how many of its requests wait for an answer."""

    __slots__ = ("identity", "last_ms", "waiting")

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.last_ms = 0
        self.waiting = 0

    def is_burst(self, now_ms: int) -> bool:
        """Whether a request that comes now does not wait for the answer to the one before it."""
        return self.waiting > 0 and now_ms < self.last_ms + LOST_MS


class AccountHealth:
    """One account: when its turn was last, and its rests by model (`WHOLE_ACCOUNT` for all)."""

    __slots__ = ("last_turn", "rests")

    def __init__(self) -> None:
        self.last_turn = 0
        self.rests: dict[str, Cooldown] = {}

    def cooldown_for(self, model: str, now_ms: int) -> Cooldown | None:
        """The rest that keeps requests for the model away for the longest time; None if there is none."""
        if not self.rests:
            return None
        found: Cooldown | None = None
        for place in (WHOLE_ACCOUNT, model):
            rest = self.rests.get(place)
            if rest is None or not rest.keeps_away(now_ms):
                continue
            if found is None or found.free_ms() < rest.free_ms():
                found = rest
        return found

    def describe(self, now_ms: int) -> dict[str, dict[str, Any]]:
        """The rests that go on, by place: why, and for how many seconds more."""
        return {
            place: {"reason": rest.reason, "seconds_left": max(0, rest.free_ms() - now_ms) // 1000}
            for place, rest in self.rests.items()
            if rest.keeps_away(now_ms)
        }

    def begin(self, model: str, now_ms: int) -> None:
        """A request goes to this account; after a rest it is the one that tries it."""
        for place in (WHOLE_ACCOUNT, model):
            rest = self.rests.get(place)
            if rest is not None:
                self.rests[place] = rest.tried(now_ms)

    def works(self, model: str, now_ms: int) -> None:
        """Qwen has answered: rests that are over are forgotten.

        One that still goes on stays: the answer is to a request from before it.
        """
        for place in (WHOLE_ACCOUNT, model):
            rest = self.rests.get(place)
            if rest is not None and now_ms >= rest.until_ms:
                del self.rests[place]

    def undecided(self, model: str) -> None:
        """The request has ended without a word from Qwen: another one may try."""
        for place in (WHOLE_ACCOUNT, model):
            rest = self.rests.get(place)
            if rest is not None:
                self.rests[place] = rest._replace(probing_until_ms=0)

    def fails(self, error: ProxyError, model: str, now_ms: int) -> Cooldown | None:
        """Puts the account, or the model there, to rest if the error calls for it; returns the new rest."""
        place = model if error.scope == "model" else WHOLE_ACCOUNT
        previous = self.rests.pop(place, None)
        rest = cooldown_after(error, previous, now_ms)
        self.undecided(model)
        if rest is None:
            return None
        self.rests[place] = rest
        if len(self.rests) > MOST_MODELS:
            del self.rests[next(name for name in self.rests if name != WHOLE_ACCOUNT)]
        return rest if rest is not previous else None


class AccountsMemory:
    """Everything that the isolate remembers. Outlives a new reading of the settings.

    An account is found by the fingerprint of its secret, so it takes its rests along to another variable, and
    a changed secret starts without any.
    """

    __slots__ = ("_conversations", "_standings", "_turn", "record_read", "record_written_ms")

    def __init__(self) -> None:
        self._standings: dict[str, AccountHealth] = {}
        self._conversations: dict[int, Conversation] = {}
        self._turn = 0
        self.record_read = False
        """Whether KV's record of rests has been asked for."""
        self.record_written_ms = 0

    def standing(self, identity: str) -> AccountHealth:
        """The standing of the account with this identity."""
        standing = self._standings.get(identity)
        if standing is None:
            standing = self._standings[identity] = AccountHealth()
        return standing

    def take_turn(self, standing: AccountHealth) -> None:
        """Notes that it is this account's turn now."""
        self._turn += 1
        standing.last_turn = self._turn

    def conversation(self, key: int) -> Conversation | None:
        """What is remembered of a conversation."""
        return self._conversations.get(key)

    def ask(self, key: int, identity: str, now_ms: int) -> None:
        """A request of the conversation goes to this account. The ones silent for longest are forgotten."""
        conversation = self._conversations.pop(key, None) or Conversation(identity)
        conversation.waiting = conversation.waiting + 1 if conversation.is_burst(now_ms) else 1
        conversation.identity = identity
        conversation.last_ms = now_ms
        self._conversations[key] = conversation
        if len(self._conversations) > MOST_CONVERSATIONS:
            del self._conversations[next(iter(self._conversations))]

    def answered(self, key: int) -> None:
        """A request of the conversation has got its answer, or failed."""
        conversation = self._conversations.get(key)
        if conversation is not None and conversation.waiting:
            conversation.waiting -= 1

    def rests(self) -> list[tuple[str, str, Cooldown]]:
        """All rests, as (identity, place, rest)."""
        return [
            (identity, place, rest)
            for identity, standing in self._standings.items()
            for place, rest in standing.rests.items()
        ]
