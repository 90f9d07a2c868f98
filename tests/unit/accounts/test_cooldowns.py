"""How long a cooldown lasts, and what a client is told if all accounts are in cooldown."""

import pytest

from qwen_worker.accounts.cooldowns import PROBE_LEASE_MS, RULES, Cooldown, cooldown_after, error_for
from qwen_worker.errors import (
    ConfigurationInvalid,
    CredentialsMissing,
    CredentialsRejected,
    InternalError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    RefreshPending,
    UpstreamBlocked,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from qwen_worker.platform.ports import FOREVER_MS

NOW = 1_700_000_000_000
HOUR = 3600


def cooldown(error: ProxyError, previous: Cooldown | None = None, now: int = NOW) -> Cooldown:
    found = cooldown_after(error, previous, now)
    assert found is not None
    return found


def seconds(found: Cooldown, now: int = NOW) -> float:
    return (found.until_ms - now) / 1000


@pytest.mark.parametrize(
    ("error", "reason", "first", "longest"),
    [
        (RateLimited("x", retry_after_seconds=7), "rate_limit", 7, 120),
        (RateLimited("x", retry_after_seconds=0), "rate_limit", 0.5, 0.5),
        (QuotaExhausted("x"), "quota", 900, HOUR),
        (QuotaExhausted("x", retry_after_seconds=60), "quota", 60, 60),
        (QuotaExhausted("x", retry_after_seconds=50 * HOUR), "quota", HOUR, HOUR),
        (CredentialsRejected("x"), "credentials", 300, 1800),
        (CredentialsMissing("x"), "credentials", 300, 1800),
        (RefreshPending("x", retry_after_seconds=4), "refreshing", 4, 60),
        (UpstreamBlocked("x"), "blocked", 15, 300),
        (UpstreamUnavailable("x"), "unavailable", 0.5, 30),
        (UpstreamUnavailable("x", retry_after_seconds=3), "unavailable", 3, 30),
        (UpstreamTimeout("x"), "unavailable", 0.5, 30),
        (UpstreamUnavailable("x", retryable=False), "refused", 60, 900),
        (NotFound("x", scope="model"), "model_missing", 300, HOUR),
    ],
)
def test_each_reason_has_its_cooldown_which_grows_to_its_cap(
    error: ProxyError, reason: str, first: float, longest: float
) -> None:
    now, current = NOW, cooldown(error)
    assert (current.reason, seconds(current)) == (reason, first)
    waits = [first]
    for _ in range(20):
        now = current.until_ms + 5
        current = cooldown(error, current, now)
        waits.append(seconds(current, now))
    assert waits == sorted(waits)
    assert waits[-1] == longest


def test_no_cooldown_locks_an_account_for_more_than_an_hour() -> None:
    assert max(rule.longest_seconds for rule in RULES.values()) == HOUR


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("x"), PayloadTooLarge("x"), NotFound("x"), InternalError("x"), ConfigurationInvalid("x")],
)
def test_a_clients_mistake_and_our_own_put_nobody_into_cooldown(error: ProxyError) -> None:
    assert cooldown_after(error, None, NOW) is None


def test_errors_of_requests_that_were_under_way_do_not_make_a_cooldown_grow() -> None:
    error = RateLimited("x", retry_after_seconds=10)
    first = cooldown(error)
    again = cooldown(error, first, NOW + 2_000)
    assert again.until_ms == NOW + 12_000
    assert again.times == 1


def test_a_passing_trouble_does_not_shorten_a_longer_cooldown() -> None:
    quota = cooldown(QuotaExhausted("x"))
    assert cooldown_after(UpstreamUnavailable("x"), quota, NOW + 1000) is quota


def test_another_reason_after_a_cooldown_starts_anew() -> None:
    quota = cooldown(QuotaExhausted("x"))
    assert cooldown(UpstreamUnavailable("x"), quota, quota.until_ms).times == 1


def test_after_a_cooldown_one_request_tries_and_the_others_wait_for_what_comes_of_it() -> None:
    quota = cooldown(QuotaExhausted("x"))
    over = quota.until_ms
    assert quota.keeps_away(over - 1)
    assert not quota.keeps_away(over)
    tried = quota.tried(over)
    assert tried.keeps_away(over)
    assert not tried.keeps_away(over + PROBE_LEASE_MS)


def test_passing_trouble_is_tried_by_everyone_at_once() -> None:
    trouble = cooldown(UpstreamUnavailable("x"))
    assert not trouble.tried(trouble.until_ms).keeps_away(trouble.until_ms)


@pytest.mark.parametrize(
    ("error", "status", "retry_after", "is_final"),
    [
        (RateLimited("x", retry_after_seconds=40), 429, "30", False),
        (RateLimited("x", retry_after_seconds=600), 429, "590", False),
        (QuotaExhausted("x"), 429, "890", True),
        (QuotaExhausted("x", retry_after_seconds=20 * HOUR), 429, str(20 * HOUR - 10), True),
        (CredentialsRejected("x"), 503, None, True),
        (RefreshPending("x", retry_after_seconds=40), 503, "30", False),
        (UpstreamBlocked("x"), 502, "5", False),
        (UpstreamUnavailable("x"), 502, "1", False),
        (UpstreamUnavailable("x", retryable=False, code="upstream_error"), 502, None, True),
        (NotFound("x", scope="model", code="model_not_found", param="model"), 404, None, False),
    ],
)
def test_a_client_is_told_the_same_kind_of_error_and_when_to_come_back(
    error: ProxyError, status: int, retry_after: str | None, is_final: bool
) -> None:
    told = error_for(cooldown(error), NOW + 10_000)
    assert (told.status, told.type, told.code) == (status, error.type, error.code)
    assert told.headers().get("retry-after") == retry_after
    assert (told.headers().get("x-should-retry") == "false") == is_final


def test_only_the_operator_ends_the_cooldown_of_a_dead_login() -> None:
    assert cooldown(CredentialsRejected("x")).back_ms == FOREVER_MS
