"""What an isolate remembers of its accounts: plain data, safe to share between requests.

Nothing here can be awaited. A client that hangs up ends its request at once, and no `finally` runs, so every
note about a running request expires.
"""

from typing import Any

from qwen_worker.accounts.cooldowns import Cooldown, cooldown_after
from qwen_worker.errors import ProxyError

WHOLE_ACCOUNT = ""
"""The place of a cooldown that is not about one model."""

MOST_MODELS = 50
"""An account keeps cooldowns for so many models; the oldest are dropped. Clients choose the names, so there
may be any number of them.
"""

MOST_CONVERSATIONS = 1000

LOST_MS = 30_000
"""A request that has not been answered for so long no longer counts as running."""


class Conversation:
    """Which account a conversation is with, and how many of its requests wait for an answer."""

    __slots__ = ("identity", "last_ms", "waiting")

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.last_ms = 0
        self.waiting = 0

    def is_burst(self, now_ms: int) -> bool:
        """Whether a request that comes now was sent before the last one was answered."""
        return self.waiting > 0 and now_ms < self.last_ms + LOST_MS


class AccountHealth:
    """One account: when its turn was last, and its cooldowns by model (`WHOLE_ACCOUNT` for all)."""

    __slots__ = ("cooldowns", "last_turn")

    def __init__(self) -> None:
        self.last_turn = 0
        self.cooldowns: dict[str, Cooldown] = {}

    def cooldown_for(self, model: str, now_ms: int) -> Cooldown | None:
        """The cooldown that keeps requests for the model away for the longest time; None if there is none."""
        if not self.cooldowns:
            return None
        found: Cooldown | None = None
        for place in (WHOLE_ACCOUNT, model):
            cooldown = self.cooldowns.get(place)
            if cooldown is None or not cooldown.keeps_away(now_ms):
                continue
            if found is None or found.free_ms() < cooldown.free_ms():
                found = cooldown
        return found

    def describe(self, now_ms: int) -> dict[str, dict[str, Any]]:
        """The cooldowns that still last, by place: the reason, and the seconds left."""
        return {
            place: {"reason": cooldown.reason, "seconds_left": max(0, cooldown.free_ms() - now_ms) // 1000}
            for place, cooldown in self.cooldowns.items()
            if cooldown.keeps_away(now_ms)
        }

    def begin(self, model: str, now_ms: int) -> None:
        """Notes that a request goes to this account. After a cooldown it is the one that tries it."""
        for place in (WHOLE_ACCOUNT, model):
            cooldown = self.cooldowns.get(place)
            if cooldown is not None:
                self.cooldowns[place] = cooldown.tried(now_ms)

    def recall(self, cooldowns: dict[str, Cooldown]) -> None:
        """Takes over another isolate's cooldowns by model, where this isolate has none."""
        for place, cooldown in cooldowns.items():
            self.cooldowns.setdefault(place, cooldown)

    def end_credentials_cooldown(self) -> None:
        """Ends a cooldown for refused credentials: they work again."""
        cooldown = self.cooldowns.get(WHOLE_ACCOUNT)
        if cooldown is not None and cooldown.reason == "credentials":
            del self.cooldowns[WHOLE_ACCOUNT]

    def record_success(self, model: str, now_ms: int) -> None:
        """Notes that Qwen has answered: forgets cooldowns that are over.

        A cooldown that still lasts stays: this request began before it.
        """
        for place in (WHOLE_ACCOUNT, model):
            cooldown = self.cooldowns.get(place)
            if cooldown is not None and now_ms >= cooldown.until_ms:
                del self.cooldowns[place]

    def release_probe(self, model: str) -> None:
        """Notes that a request ended without an answer of Qwen: another one may try the account."""
        for place in (WHOLE_ACCOUNT, model):
            cooldown = self.cooldowns.get(place)
            if cooldown is not None:
                self.cooldowns[place] = cooldown._replace(probing_until_ms=0)

    def record_failure(self, error: ProxyError, model: str, now_ms: int) -> Cooldown | None:
        """Begins and returns the cooldown that the error calls for, of the account or of the model."""
        place = model if error.scope == "model" else WHOLE_ACCOUNT
        previous = self.cooldowns.pop(place, None)
        cooldown = cooldown_after(error, previous, now_ms)
        self.release_probe(model)
        if cooldown is None:
            return None
        self.cooldowns[place] = cooldown
        if len(self.cooldowns) > MOST_MODELS:
            del self.cooldowns[next(name for name in self.cooldowns if name != WHOLE_ACCOUNT)]
        return cooldown if cooldown is not previous else None


class AccountsMemory:
    """What the isolate remembers of its accounts. Outlives a new reading of the settings.

    An account is found by the fingerprint of its secret and of where it calls, so its cooldowns stay when it
    moves to another variable. With a changed secret or base URL it starts without any.
    """

    __slots__ = ("_conversations", "_health", "_turn")

    def __init__(self) -> None:
        self._health: dict[str, AccountHealth] = {}
        self._conversations: dict[int, Conversation] = {}
        self._turn = 0

    def health(self, identity: str) -> AccountHealth:
        """The health of the account with this identity."""
        health = self._health.get(identity)
        if health is None:
            health = self._health[identity] = AccountHealth()
        return health

    def take_turn(self, health: AccountHealth) -> None:
        """Notes that it is this account's turn now."""
        self._turn += 1
        health.last_turn = self._turn

    def conversation(self, key: int) -> Conversation | None:
        """What is remembered of a conversation."""
        return self._conversations.get(key)

    def ask(self, key: int, identity: str, now_ms: int) -> None:
        """Notes that a request of the conversation goes to this account. Forgets the conversations that have
        been silent for longest.
        """
        conversation = self._conversations.pop(key, None) or Conversation(identity)
        conversation.waiting = conversation.waiting + 1 if conversation.is_burst(now_ms) else 1
        conversation.identity = identity
        conversation.last_ms = now_ms
        self._conversations[key] = conversation
        if len(self._conversations) > MOST_CONVERSATIONS:
            del self._conversations[next(iter(self._conversations))]

    def answered(self, key: int) -> None:
        """Notes that a request of the conversation was answered, or failed."""
        conversation = self._conversations.get(key)
        if conversation is not None and conversation.waiting:
            conversation.waiting -= 1

    def cooldowns(self) -> list[tuple[str, str, Cooldown]]:
        """All cooldowns, as (identity, place, cooldown)."""
        return [
            (identity, place, cooldown)
            for identity, health in self._health.items()
            for place, cooldown in health.cooldowns.items()
        ]
