"""Which account is chosen: priority, turns, conversations, cooldowns."""

from collections import Counter

from qwen_worker.accounts.choice import Candidate, choose, due_first
from qwen_worker.accounts.cooldowns import PROBE_LEASE_MS, Cooldown
from qwen_worker.accounts.health import LOST_MS, MOST_CONVERSATIONS, MOST_MODELS, AccountsMemory
from qwen_worker.errors import (
    CredentialsRejected,
    NotFound,
    ProxyError,
    QuotaExhausted,
    RateLimited,
)
from tests.support.clock import VirtualClock

QUOTA = QuotaExhausted("x")
MODEL = "qwen3-coder-plus"


class Accounts:
    """Some accounts of one isolate; `names` with a priority each."""

    def __init__(self, **priorities: int) -> None:
        self.memory = AccountsMemory()
        self.clock = VirtualClock()
        self.priorities = priorities
        self._fresh_conversation = 10**6

    def candidates(self, model: str = MODEL) -> list[Candidate]:
        return [
            Candidate(name, priority, model, self.memory.health(name))
            for name, priority in self.priorities.items()
        ]

    def first_due(self, model: str = MODEL) -> tuple[Candidate, Cooldown] | None:
        now_ms = self.clock.now_ms()
        return due_first(
            (candidate, cooldown)
            for candidate in self.candidates(model)
            if (cooldown := candidate.health.cooldown_for(model, now_ms)) is not None
        )

    def choose(self, conversation: int | None = None, *, model: str = MODEL, tried: str = "") -> str | None:
        """The choice for a request; without a conversation, for one of its own."""
        if conversation is None:
            self._fresh_conversation += 1
            conversation = self._fresh_conversation
        found = choose(
            self.candidates(model),
            self.memory,
            affinity_key=conversation,
            tried=tried.split(),
            now_ms=self.clock.now_ms(),
        )
        return None if found is None else found.identity

    def fail(self, name: str, error: ProxyError, model: str = MODEL) -> None:
        self.memory.health(name).record_failure(error, model, self.clock.now_ms())

    def succeed(self, name: str, model: str = MODEL) -> None:
        self.memory.health(name).record_success(model, self.clock.now_ms())

    def turn(self, conversation: int) -> str | None:
        """A request that is answered before the next one comes."""
        chosen = self.choose(conversation)
        self.memory.answered(conversation)
        return chosen


def test_accounts_of_the_same_priority_take_turns() -> None:
    accounts = Accounts(a=1, b=1, c=1)
    assert Counter(accounts.choose() for _ in range(99)) == {"a": 33, "b": 33, "c": 33}


def test_the_last_resort_is_used_only_while_all_others_are_in_cooldown() -> None:
    accounts = Accounts(last=9, a=1, b=1)
    assert {accounts.choose() for _ in range(10)} == {"a", "b"}
    accounts.fail("a", QUOTA)
    assert {accounts.choose() for _ in range(10)} == {"b"}
    accounts.fail("b", QUOTA)
    assert {accounts.choose() for _ in range(10)} == {"last"}
    accounts.clock.advance(901)
    assert accounts.choose() in ("a", "b")


def test_a_conversation_stays_with_its_account() -> None:
    accounts = Accounts(a=1, b=1, c=1)
    first = [accounts.turn(conversation) for conversation in range(30)]
    assert [accounts.turn(conversation) for conversation in range(30)] == first
    assert set(first) == {"a", "b", "c"}


def test_a_conversation_moves_when_its_account_is_in_cooldown_and_then_stays_where_it_is() -> None:
    accounts = Accounts(a=1, b=1)
    first = accounts.turn(7)
    assert first is not None
    accounts.fail(first, RateLimited("x", retry_after_seconds=10))
    second = accounts.turn(7)
    assert second not in (first, None)
    accounts.clock.advance(60)
    assert accounts.turn(7) == second


def test_a_conversation_returns_from_the_last_resort() -> None:
    accounts = Accounts(a=1, last=9)
    accounts.fail("a", QUOTA)
    assert accounts.turn(7) == "last"
    accounts.clock.advance(901)
    assert accounts.turn(7) == "a"


def test_a_hundred_requests_at_once_are_spread_even_if_they_begin_alike() -> None:
    accounts = Accounts(a=1, b=1, c=1)
    assert max(Counter(accounts.choose(7) for _ in range(99)).values()) == 33


def test_a_conversation_whose_last_request_was_lost_finds_its_account_again() -> None:
    accounts = Accounts(a=1, b=1)
    first = accounts.choose(7)
    accounts.clock.advance(LOST_MS / 1000 + 1)
    accounts.choose()
    assert accounts.choose(7) == first


def test_conversations_that_were_silent_for_longest_are_forgotten() -> None:
    accounts = Accounts(a=1)
    for conversation in range(MOST_CONVERSATIONS + 1):
        accounts.turn(conversation)
    assert accounts.memory.conversation(0) is None
    assert accounts.memory.conversation(1) is not None


def test_an_account_that_has_failed_a_request_is_not_asked_again() -> None:
    accounts = Accounts(a=1, b=1)
    assert {accounts.choose(tried="a") for _ in range(3)} == {"b"}
    assert accounts.choose(tried="a b") is None


def test_a_cooldown_for_one_model_leaves_the_others_alone() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", RateLimited("x", retry_after_seconds=10, scope="model"))
    assert accounts.choose() is None
    assert accounts.choose(model="qwen3-max") == "a"


def test_after_a_cooldown_one_request_tries_and_success_brings_the_others_back() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", QUOTA)
    accounts.clock.advance(901)
    assert accounts.choose() == "a"
    assert accounts.choose() is None
    accounts.succeed("a")
    assert [accounts.choose(), accounts.choose()] == ["a", "a"]


def test_a_try_that_fails_makes_the_cooldown_longer() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", QUOTA)
    accounts.clock.advance(901)
    assert accounts.choose() == "a"
    accounts.fail("a", QUOTA)
    accounts.clock.advance(1700)
    assert accounts.choose() is None
    accounts.clock.advance(101)
    assert accounts.choose() == "a"


def test_a_try_that_is_never_heard_of_again_does_not_lock_the_account() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", QUOTA)
    accounts.clock.advance(901)
    assert accounts.choose() == "a"
    accounts.clock.advance(PROBE_LEASE_MS / 1000)
    assert accounts.choose() == "a"


def test_a_try_without_a_word_from_qwen_lets_another_one_try() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", QUOTA)
    accounts.clock.advance(901)
    assert accounts.choose() == "a"
    accounts.memory.health("a").release_probe(MODEL)
    assert accounts.choose() == "a"


def test_an_answer_to_an_earlier_request_does_not_end_a_cooldown() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", QUOTA)
    accounts.succeed("a")
    assert accounts.choose() is None


def test_the_account_that_is_back_first_decides_what_the_client_is_told() -> None:
    accounts = Accounts(a=1, b=1, c=1, d=1)
    assert accounts.first_due() is None
    for name, error in (
        ("a", NotFound("x", scope="model")),
        ("b", CredentialsRejected("x")),
        ("c", QUOTA),
        ("d", RateLimited("x", retry_after_seconds=20)),
    ):
        accounts.fail(name, error)
        found = accounts.first_due()
        assert found is not None
        assert found[0].identity == name


def test_names_of_models_do_not_fill_the_memory() -> None:
    accounts = Accounts(a=1)
    accounts.fail("a", QUOTA)
    for number in range(3 * MOST_MODELS):
        accounts.fail("a", NotFound("x", scope="model"), f"model-{number}")
    assert len(accounts.memory.cooldowns()) <= MOST_MODELS
    assert accounts.choose() is None
