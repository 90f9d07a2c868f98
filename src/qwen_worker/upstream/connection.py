"""The connection to Qwen that a request is waiting for."""

from typing import TYPE_CHECKING

from qwen_worker.errors import ProxyError, UpstreamTimeout

if TYPE_CHECKING:
    from qwen_worker.platform.ports import Clock, InboundResponse


class Connection:
    """When Qwen last sent something, and how to close the connection. The attempts use it one after the
    other.
    """

    __slots__ = ("_answer", "_clock", "heard_ms", "timed_out")

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._answer: InboundResponse | None = None
        self.heard_ms = 0
        """When Qwen last sent something; 0 before its headers."""
        self.timed_out: ProxyError | None = None
        """Why this side has closed the connection, if it has."""

    def opened(self, answer: "InboundResponse") -> None:
        """Notes that the headers of an answer have come."""
        self._answer = answer
        self.timed_out = None
        self.heard()

    def heard(self) -> None:
        """Notes that Qwen has sent something."""
        self.heard_ms = self._clock.now_ms()

    def closed(self) -> None:
        """Closes the connection of an answer that is of no use. Another attempt may follow."""
        self.cancel()
        self._answer = None
        self.heard_ms = 0

    def patience_seconds(self, idle_seconds: float) -> float:
        """How much longer Qwen may be silent after its headers, if `idle_seconds` is the limit."""
        if not self.heard_ms:
            return idle_seconds
        return idle_seconds - (self._clock.now_ms() - self.heard_ms) / 1000

    def give_up(self, seconds: float) -> None:
        """Closes the connection because Qwen was silent for so long. Whoever reads from it gets an error."""
        self.timed_out = UpstreamTimeout(f"Qwen sent nothing for {seconds:g} seconds.")
        self.cancel()

    def cancel(self) -> None:
        """Closes the connection, if there is one. Harmless when the answer has ended."""
        if self._answer is not None:
            self._answer.cancel()
