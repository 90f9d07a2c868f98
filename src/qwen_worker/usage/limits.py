"""What a client key may use: requests in a minute, tokens in a day."""

from qwen_worker.config.client_keys import ClientKey
from qwen_worker.errors import QuotaExhausted, RateLimited
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime, StoreError
from qwen_worker.usage.ledger import Ledger

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_NEAR = 0.8
"""From this share of its limit on, a key's requests wait for the database where it is due to be asked."""

_PATIENCE_SECONDS = 1.0
"""How long a request waits for the database at most."""


async def admit(ledger: Ledger, client: ClientKey, runtime: Runtime, log: Log) -> None:
    """Counts a request of a limited key. Raises RateLimited, or QuotaExhausted."""
    if client.requests_per_minute is not None:
        await _count_request(ledger, client.label, client.requests_per_minute, runtime, log)
    if client.tokens_per_day is not None:
        await _check_budget(ledger, client.label, client.tokens_per_day, runtime, log)


def token_headers(ledger: Ledger, client: ClientKey, now_ms: int) -> dict[str, str]:
    """What every answer to a key with a daily limit tells of it."""
    if client.tokens_per_day is None:
        return {}
    left = max(0, client.tokens_per_day - ledger.budget(client.label, now_ms).spent)
    return {
        "x-ratelimit-limit-tokens": str(client.tokens_per_day),
        "x-ratelimit-remaining-tokens": str(left),
        "x-ratelimit-reset-tokens": f"{_to_midnight_ms(now_ms) // 1000}s",
    }


async def _count_request(ledger: Ledger, label: str, limit: int, runtime: Runtime, log: Log) -> None:
    """By the platform's binding for this limit; if there is none, or it fails, in this isolate."""
    binding = runtime.rate_limit(limit)
    allowed = None
    if binding is not None:
        try:
            allowed = await binding.allows(label)
        except StoreError as error:
            log.warning("rate limiting failed", error=str(error))
    now_ms = runtime.clock.now_ms()
    if allowed is None:
        minute, seen = ledger.minutes.get(label, (0, 0))
        if minute != now_ms // _MINUTE_MS:
            minute, seen = now_ms // _MINUTE_MS, 0
        allowed = seen < limit
        ledger.minutes[label] = (minute, seen + allowed)
    if not allowed:
        raise RateLimited(
            f"This API key may send {limit} requests a minute.",
            retry_after_seconds=(_MINUTE_MS - now_ms % _MINUTE_MS) / 1000,
            scope="request",
        )


async def _check_budget(ledger: Ledger, label: str, limit: int, runtime: Runtime, log: Log) -> None:
    """The database is asked in the request's way only if a key is near its limit or nothing is known of it;
    otherwise whoever writes asks too.
    """
    now_ms = runtime.clock.now_ms()
    budget = ledger.budget(label, now_ms)
    is_far = budget.read_ms is not None and budget.spent < _NEAR * limit
    if runtime.database is not None and budget.is_due(now_ms) and not is_far:
        from qwen_worker.usage.writer import UsageWriter

        writer = UsageWriter(ledger, runtime.database, runtime.clock, log)
        await writer.read_budgets(patience_seconds=_PATIENCE_SECONDS)
        budget = ledger.budget(label, now_ms)
    if budget.spent >= limit:
        left_ms = _to_midnight_ms(now_ms)
        raise QuotaExhausted(
            f"The {limit} tokens a day of this API key are used up. It can be used again from "
            f"{_utc_time(now_ms + left_ms)}.",
            retry_after_seconds=left_ms / 1000,
            scope="request",
        )


def _to_midnight_ms(now_ms: int) -> int:
    return _DAY_MS - now_ms % _DAY_MS


def _utc_time(ms: int) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))
