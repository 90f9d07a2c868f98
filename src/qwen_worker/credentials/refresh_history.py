"""The results of an account's refreshes, and the pauses that follow from them."""

from typing import NamedTuple

MAX_FAULT_PAUSE_SECONDS = 60.0

FIRST_DISCONTINUED_PAUSE_MS = 5_000
MAX_DISCONTINUED_PAUSE_MS = 600_000
SUSPICION_MS = 60_000
"""How long after a pause another refusal is one in a row, at least."""


class LastRefresh(NamedTuple):
    """The result of the isolate's last refresh, for /health: "ok", or why not."""

    result: str
    at_ms: int


class RefreshHistory:
    """The last refresh, and when the next one may start. Only its own methods write it."""

    __slots__ = ("_faults", "last", "retry_at_ms")

    def __init__(self) -> None:
        self.last: LastRefresh | None = None
        self.retry_at_ms = 0
        """Before this time no job is started for requests that have no token."""
        self._faults = 0

    def note(self, result: str, now_ms: int) -> None:
        """Notes the result of a refresh."""
        self.last = LastRefresh(result, now_ms)

    def pause_after_fault(self, now_ms: int, retry_after_seconds: float | None, random: float) -> int:
        """After a passing fault: a pause that grows with each in a row. Returns its milliseconds.

        `random` is between 0 and 1.
        """
        backoff = min(MAX_FAULT_PAUSE_SECONDS, 2.0 ** min(self._faults, 6)) * (0.5 + random)
        pause_ms = int(min(MAX_FAULT_PAUSE_SECONDS, max(backoff, retry_after_seconds or 0.0)) * 1000)
        self._faults += 1
        self.retry_at_ms = now_ms + pause_ms
        return pause_ms

    def pause_until(self, at_ms: int) -> None:
        """Sets when a job may be started next."""
        self.retry_at_ms = at_ms

    def end_pause(self) -> None:
        """Ends the pause: there is another token, so the last one's faults no longer count."""
        self.retry_at_ms = 0
        self._faults = 0


class Discontinuation:
    """The time in which the account is not used, because the API refuses what the token endpoint issues.

    This happened when Qwen closed its OAuth tier. Only its own methods write it.
    """

    __slots__ = ("_pause_ms", "_refused", "_suspected_until_ms", "until_ms")

    def __init__(self) -> None:
        self.until_ms = 0
        self._pause_ms = 0
        self._suspected_until_ms = 0
        self._refused = ("", 0)

    def note(self, access_token: str, now_ms: int) -> int:
        """Notes that the API has refused a token straight after its issue. The pause that follows is longer
        each time in a row. The first time there is none: the request itself may be the reason, and the next
        ones must not suffer.

        Returns its milliseconds.
        """
        pause_ms = max(FIRST_DISCONTINUED_PAUSE_MS, 2 * self._pause_ms)
        self._pause_ms = min(pause_ms, MAX_DISCONTINUED_PAUSE_MS) if now_ms < self._suspected_until_ms else 0
        self.until_ms = now_ms + self._pause_ms
        self._suspected_until_ms = self.until_ms + max(SUSPICION_MS, 2 * self._pause_ms)
        self._refused = (access_token, now_ms)
        return self._pause_ms

    def note_accepted(self) -> None:
        """The API has taken a token: what it refused was the request."""
        self._suspected_until_ms = 0

    def is_of(self, access_token: str | None, since_ms: int) -> bool:
        """Whether this token was refused so, at `since_ms` or later."""
        refused, at_ms = self._refused
        return access_token == refused and at_ms >= since_ms
