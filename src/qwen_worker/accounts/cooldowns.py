"""How long an account is left alone after an error, and what the client is told if all accounts are in
cooldown.

| reason        | after                          | lasts                                    | grows to |
|---------------|--------------------------------|------------------------------------------|----------|
| rate_limit    | RateLimited                    | its Retry-After                          | 2 min    |
| quota         | QuotaExhausted                 | 15 min, or until the stated reset        | 1 h      |
| credentials   | CredentialsRejected, -Missing  | 5 min                                    | 30 min   |
| refreshing    | RefreshPending                 | its Retry-After                          | 1 min    |
| blocked       | UpstreamBlocked                | 15 s                                     | 5 min    |
| refused       | an answer that will not change | 1 min                                    | 15 min   |
| unavailable   | other upstream trouble         | 0.5 s, or its Retry-After                | 30 s     |
| model_missing | NotFound                       | 5 min, for this model                    | 1 h      |

A cooldown doubles each time that the error comes again right after it, up to the last column, which also caps
what Qwen announces. After a cooldown one request tries the account: a mistake costs minutes, never a day.
"""

from typing import Any, NamedTuple

from qwen_worker.errors import (
    CredentialsMissing,
    CredentialsRejected,
    NotFound,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    RefreshPending,
    UpstreamBlocked,
    UpstreamUnavailable,
)
from qwen_worker.platform.ports import FOREVER_MS

PROBE_LEASE_MS = 30_000
"""A request that tries an account after its cooldown and does not report for so long has died. Another one
may try.
"""


class _Rule(NamedTuple):
    """How long the first cooldown for a reason lasts, and how long the longest. `default_seconds` is for
    errors that name no time; `announced` tells whether a time that an error names is used.
    """

    default_seconds: float
    longest_seconds: float
    announced: bool = False
    recovers: bool = True
    """Whether waiting helps; otherwise the operator must act."""
    one_tries: bool = True
    """Whether a single request tries the account after the cooldown, while the others leave it alone."""


RULES = {
    "rate_limit": _Rule(10, 120, announced=True),
    "quota": _Rule(900, 3600, announced=True),
    "credentials": _Rule(300, 1800, recovers=False),
    "refreshing": _Rule(2, 60, announced=True),
    "blocked": _Rule(15, 300),
    "refused": _Rule(60, 900, recovers=False),
    "unavailable": _Rule(0.5, 30, announced=True, one_tries=False),
    "model_missing": _Rule(300, 3600, recovers=False),
}
"""By reason."""

SHORTEST_SECONDS = 0.5

LIMITS = ("rate_limit", "quota", "refreshing")
"""The reasons that are surely the account's and not the request's."""

LASTING = ("quota", "credentials")
"""The reasons that are worth telling later isolates."""


class Cooldown(NamedTuple):
    """The cooldown of an account or of one of its models. Plain data; times are in ms since the epoch."""

    reason: str
    until_ms: int
    """From then on one request tries it."""
    back_ms: int
    """When the account is expected to work again; FOREVER_MS if only the operator can help."""
    times: int = 1
    """How often in a row."""
    probing_until_ms: int = 0
    """While a request is trying it, the others leave it alone."""

    def keeps_away(self, now_ms: int) -> bool:
        """Whether requests must leave the account alone."""
        return now_ms < self.until_ms or now_ms < self.probing_until_ms

    def tried(self, now_ms: int) -> "Cooldown":
        """The same cooldown while a request tries the account."""
        one_tries = RULES[self.reason].one_tries
        return self._replace(probing_until_ms=now_ms + PROBE_LEASE_MS) if one_tries else self

    def free_ms(self) -> int:
        """The time from which on the account may be tried."""
        return max(self.until_ms, self.probing_until_ms)


def cooldown_after(error: ProxyError, previous: Cooldown | None, now_ms: int) -> Cooldown | None:
    """The cooldown that an error calls for, or None for one that is not about the account.

    `previous` is the last cooldown of this account or model. If it is over, the failed request was the try
    after it, and the new cooldown is longer. If it still lasts, the failed request began before it, and the
    new cooldown is not longer.
    """
    reason = reason_for(error)
    if reason is None:
        return None
    rule = RULES[reason]
    announced_seconds = error.retry_after_seconds if rule.announced else None
    goes_on = previous is not None and now_ms < previous.until_ms
    times = 1
    if previous is not None and previous.reason == reason:
        times = previous.times if goes_on else previous.times + 1
    # Qwen has named the time of the reset, so it is not doubled.
    doubled = 1 if reason == "quota" and announced_seconds is not None else 2 ** min(times - 1, 16)
    seconds = (rule.default_seconds if announced_seconds is None else announced_seconds) * doubled
    until_ms = now_ms + int(max(SHORTEST_SECONDS, min(seconds, rule.longest_seconds)) * 1000)
    back_ms = until_ms
    if not rule.recovers:
        back_ms = FOREVER_MS
    elif announced_seconds is not None:
        back_ms = max(until_ms, now_ms + int(announced_seconds * 1000))
    if previous is not None and goes_on and previous.until_ms > until_ms:
        return previous
    return Cooldown(reason, until_ms, back_ms, times)


def reason_for(error: ProxyError) -> str | None:
    """Why an account needs a cooldown after this error; None if the error is the client's or our own."""
    if error.scope == "request":
        return None
    if isinstance(error, RateLimited):
        return "rate_limit"
    if isinstance(error, QuotaExhausted):
        return "quota"
    if isinstance(error, CredentialsRejected | CredentialsMissing):
        return "credentials"
    if isinstance(error, RefreshPending):
        return "refreshing"
    if isinstance(error, UpstreamBlocked):
        return "blocked"
    if isinstance(error, NotFound):
        return "model_missing"
    return "unavailable" if error.retryable else "refused"


def error_for(cooldown: Cooldown, now_ms: int) -> ProxyError:
    """The error for a client when every account is in cooldown and this one is due first.

    The message of the error that led to the cooldown is not kept: it was about another request.
    """
    seconds = max(1.0, (cooldown.back_ms - now_ms) / 1000)
    about: dict[str, Any] = {} if cooldown.back_ms == FOREVER_MS else {"retry_after_seconds": seconds}
    if cooldown.reason == "rate_limit":
        return RateLimited("Qwen limits the rate of requests on every account of this gateway.", **about)
    if cooldown.reason == "quota":
        return QuotaExhausted("The quota of every account of this gateway at Qwen is used up.", **about)
    if cooldown.reason == "credentials":
        return CredentialsRejected(
            "Qwen refuses the credentials of every account of this gateway: its operator must renew them."
        )
    if cooldown.reason == "refreshing":
        return RefreshPending("The token for Qwen is being refreshed. Try again shortly.", **about)
    if cooldown.reason == "blocked":
        return UpstreamBlocked("Something in front of Qwen answered in its place a moment ago.", **about)
    if cooldown.reason == "model_missing":
        return NotFound(
            "No account of this gateway has the model at Qwen.", code="model_not_found", param="model"
        )
    if cooldown.reason == "refused":
        return UpstreamUnavailable(
            "Qwen refused requests as they were sent a moment ago; a base URL may be wrong.",
            code="upstream_error",
            retryable=False,
        )
    return UpstreamUnavailable("Qwen was not available a moment ago.", **about)
