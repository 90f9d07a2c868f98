"""Decides which request does a job for all requests of its isolate."""


class Lease:
    """Work that one request at a time does, in the background, for all requests of the isolate.

    No request can await another one's work (Workers kills it), and work can die with its request. So whoever
    does it takes the lease and extends it; when the lease is over without being released, the work has died
    and somebody else takes over. Times are in milliseconds since the epoch.
    """

    __slots__ = ("_number", "purpose", "until_ms")

    def __init__(self) -> None:
        self._number = 0
        self.until_ms = 0
        """0: nobody is at work; in the past: the work has died."""
        self.purpose: str | None = None
        """The purpose that the holder, or the last holder, has given."""

    def take(self, until_ms: int, purpose: str | None = None) -> int:
        """Makes the caller the holder. Returns its number, which the other methods want."""
        self._number += 1
        self.until_ms = until_ms
        self.purpose = purpose
        return self._number

    def is_held(self, now_ms: int) -> bool:
        """Whether somebody is at work."""
        return now_ms < self.until_ms

    def belongs_to(self, number: int) -> bool:
        """Whether nobody has taken over from this holder."""
        return number == self._number

    def extend(self, number: int, until_ms: int) -> None:
        """Shows that the holder is alive."""
        if number == self._number:
            self.until_ms = until_ms

    def release(self, number: int) -> None:
        """Ends the holder's work. Harmless when somebody has taken over."""
        if number == self._number:
            self.until_ms = 0
