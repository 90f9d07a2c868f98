"""What an account's refreshes have come to, and the pauses that follow from it."""

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
    """The last refresh, and from when on there may be another. Only its own methods write it."""

    __slots__ = ("_faults", "last", "retry_at_ms")

    def __init__(self) -> None:
        self.last: LastRefresh | None = None
        self.retry_at_ms = 0
        """Before this time no job is started for requests that have no token."""
        self._faults = 0

    def note(self, result: str, now_ms: int) -> None:
        """A refresh has ended."""
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
        """There is another token: what was wrong with the one before no longer counts."""
        self.retry_at_ms = 0
        self._faults = 0


class Discontinuation:
    """The time in which the account is not used, because the API refuses what the token endpoint issues.

    So it was when Qwen closed its OAuth tier. Only its own method writes it.
    """

    __slots__ = ("_pause_ms", "_refused", "_suspected_until_ms", "until_ms")

    def __init__(self) -> None:
        self.until_ms = 0
        self._pause_ms = 0
        self._suspected_until_ms = 0
        self._refused = ("", 0)

    def note(self, access_token: str, now_ms: int) -> int:
        """The API has refused a token straight after its issue: a pause, longer each time in a row. The first
        time there is none: the request itself may be the reason, and the next ones must not suffer.

        Returns its milliseconds.
        """
        pause_ms = max(FIRST_DISCONTINUED_PAUSE_MS, 2 * self._pause_ms)
        self._pause_ms = min(pause_ms, MAX_DISCONTINUED_PAUSE_MS) if now_ms < self._suspected_until_ms else 0
        self.until_ms = now_ms + self._pause_ms
        self._suspected_until_ms = self.until_ms + max(SUSPICION_MS, 2 * self._pause_ms)
        self._refused = (access_token, now_ms)
        return self._pause_ms

    def is_of(self, access_token: str | None, since_ms: int) -> bool:
        """Whether this token was refused so, at `since_ms` or later."""
        refused, at_ms = self._refused
        return access_token == refused and at_ms >= since_ms
