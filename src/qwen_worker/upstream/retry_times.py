"""When Qwen says that a request may be sent again: `Retry-After`, and "will reset at" in an error's words."""

import re
from collections.abc import Callable

_LONGEST_WAIT_SECONDS = 32 * 86_400.0


def retry_after_seconds(header: Callable[[str], str | None], now_ms: int) -> float | None:
    """What `retry-after-ms` or `retry-after` (seconds or a date) say; None for what makes no sense."""
    milliseconds = _positive(header("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = header("retry-after")
    seconds = _positive(value)
    if seconds is not None or value is None:
        return seconds
    date = _http_date(value)
    if date is None:
        return None
    day, month, year, hour, minute, second = date.groups()
    at = _utc_seconds(
        int(year), _MONTHS.index(month.lower()) // 3 + 1, int(day), int(hour), int(minute), int(second)
    )
    return _wait(at - now_ms / 1000)


_reset_at = re.compile(
    r"will reset at (?:(\d{4})-)?(\d{1,2})-(\d{1,2})[ t](\d{1,2}):(\d{2}):(\d{2}) *(?:utc|z\b)", re.IGNORECASE
).search
_http_date = re.compile(
    r"\w{3}, (\d{2}) (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt",
    re.IGNORECASE,
).fullmatch
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"


def reset_seconds(message: str, now_ms: int) -> float | None:
    """How long until the time in "... will reset at 07-27 09:25:00 UTC.", which usually has no year."""
    match = _reset_at(message)
    if match is None:
        return None
    year, *rest = match.groups()
    month, day, hour, minute, second = map(int, rest)
    if not 1 <= month <= 12:
        return None
    now = now_ms / 1000
    if year is not None:
        return _wait(_utc_seconds(int(year), month, day, hour, minute, second) - now)
    this_year = 1970 + int(now / 31_556_952)
    waits = [
        _utc_seconds(y, month, day, hour, minute, second) - now
        for y in (this_year - 1, this_year, this_year + 1)
    ]
    return _wait(min(waits, key=abs))


def _utc_seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float:
    """Seconds since the Unix epoch, in the proleptic Gregorian calendar; importing `datetime` would cost too
    much.
    """
    year -= month <= 2
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = 365 * year + year // 4 - year // 100 + year // 400 + day_of_year - 719_468
    return days * 86_400 + hour * 3600 + minute * 60 + second


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return min(number, _LONGEST_WAIT_SECONDS * 1000) if 0 <= number < 1e12 else None


def _wait(seconds: float) -> float | None:
    """The wait if it is in the future, at least a second; None for a time that makes no sense."""
    return max(1.0, seconds) if -3600 < seconds < _LONGEST_WAIT_SECONDS else None
