"""What /health says of an OAuth account."""

import time
from typing import Any

from qwen_worker.credentials.job import Job
from qwen_worker.credentials.state import AccountState


def describe_login(job: Job) -> dict[str, Any]:
    """What an operator needs to know of the account, without a token or a part of one."""
    state, now = job.state, job.clock.now_ms()
    token, refresh = state.held.token, state.refreshes.last
    kv_bound = job.store is not None
    expires = None if token is None else token.expiry_date_ms
    return {
        "kind": "oauth",
        "state": _condition(state, now),
        "source": None if token is None else state.held.source,
        "expires_in_seconds": None if expires is None else (expires - now) // 1000,
        "refreshable": token is not None and token.refresh_token is not None,
        "last_refresh": None
        if refresh is None
        else {
            "result": refresh.result,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(refresh.at_ms // 1000)),
            "seconds_ago": (now - refresh.at_ms) // 1000,
        },
        "kv_bound": kv_bound,
        "kv_readable": not state.record.is_unreadable if kv_bound else None,
        "saved": state.unsaved.pending is None and kv_bound,
    }


def _condition(state: AccountState, now: int) -> str:
    """The account in one word."""
    token = state.held.token
    if token is None:
        return "missing"
    if now < state.discontinued.until_ms:
        return "discontinued"
    refusal = state.refusals.of(token)
    if refusal is not None and refusal.final:
        return "rejected"
    if token.is_valid(now):
        return "ready"
    return "expired" if token.refresh_token is None else "refresh_pending"
