"""Chooses the account for a request: by priority, then in turns. A conversation stays with its account if
possible.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from qwen_worker.accounts.cooldowns import Cooldown
from qwen_worker.accounts.health import AccountHealth, AccountsMemory, Conversation


class Candidate(NamedTuple):
    """An account that serves the model that a request asks for, under the name `model` that it has there."""

    identity: str
    priority: int
    model: str
    health: AccountHealth


def choose(
    candidates: Sequence[Candidate],
    memory: AccountsMemory,
    *,
    affinity_key: int,
    tried: Collection[str],
    now_ms: int,
) -> Candidate | None:
    """The account for a request, or None if all accounts that it has not tried yet are in cooldown.

    Remembers the choice. `tried` holds the identities of the accounts that have failed this request;
    `affinity_key` identifies its conversation.
    """
    ready = [candidate for candidate in candidates if is_ready(candidate, tried, now_ms)]
    if not ready:
        return None
    first = min(candidate.priority for candidate in ready)
    peers = [candidate for candidate in ready if candidate.priority == first]
    chosen = _kept(peers, memory.conversation(affinity_key), now_ms) or min(
        peers, key=lambda candidate: candidate.health.last_turn
    )
    memory.take_turn(chosen.health)
    memory.ask(affinity_key, chosen.identity, now_ms)
    chosen.health.begin(chosen.model, now_ms)
    return chosen


def is_ready(candidate: Candidate, tried: Collection[str], now_ms: int) -> bool:
    """Whether a request that has tried some accounts may go to this one."""
    return candidate.identity not in tried and candidate.health.cooldown_for(candidate.model, now_ms) is None


def due_first(cooling: Iterable[tuple[Candidate, Cooldown]]) -> tuple[Candidate, Cooldown] | None:
    """Of the accounts in cooldown, the one that is expected back first; None if there is none."""
    return min(cooling, key=lambda pair: _urgency(pair[1]), default=None)


def _kept(peers: list[Candidate], conversation: Conversation | None, now_ms: int) -> Candidate | None:
    """The account that the conversation is with, if it is among them.

    Requests that begin alike but do not wait for each other's answers are no conversation. They are spread
    over the accounts.
    """
    if conversation is None or conversation.is_burst(now_ms):
        return None
    return next((candidate for candidate in peers if candidate.identity == conversation.identity), None)


def _urgency(cooldown: Cooldown) -> tuple[int, bool]:
    """Sorts cooldowns by their end. Of those that only the operator can end, a missing model comes last:
    another account may have the model.
    """
    return cooldown.back_ms, cooldown.reason == "model_missing"
