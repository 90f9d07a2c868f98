"""The connection to Qwen that a request is waiting for."""

from typing import TYPE_CHECKING

from qwen_worker.errors import ProxyError, UpstreamTimeout

if TYPE_CHECKING:
    from qwen_worker.platform.ports import Clock, InboundResponse


class Connection:
    """When Qwen last sent something, and how to close the connection. Of one attempt after the other."""

    __slots__ = ("_answer", "_clock", "heard_ms", "timed_out")

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._answer: InboundResponse | None = None
        self.heard_ms = 0
        """When Qwen last sent something; 0 before its headers."""
        self.timed_out: ProxyError | None = None
        """Why this side has closed the connection, if it has."""

    def opened(self, answer: "InboundResponse") -> None:
        """The headers of an answer have come."""
        self._answer = answer
        self.timed_out = None
        self.heard()

    def heard(self) -> None:
        """Qwen has sent something."""
        self.heard_ms = self._clock.now_ms()

    def closed(self) -> None:
        """The answer is of no use; its connection is closed, and there may be another attempt."""
        self.cancel()
        self._answer = None
        self.heard_ms = 0

    def patience_seconds(self, idle_seconds: float) -> float:
        """How much longer Qwen may send nothing after its headers, when it may for so long at most."""
        if not self.heard_ms:
            return idle_seconds
        return idle_seconds - (self._clock.now_ms() - self.heard_ms) / 1000

    def give_up(self, seconds: float) -> None:
        """Closes the connection since Qwen was silent for so long; whoever reads from it sees it break."""
        self.timed_out = UpstreamTimeout(f"Qwen sent nothing for {seconds:g} seconds.")
        self.cancel()

    def cancel(self) -> None:
        """Closes the connection, if there is one. Harmless when the answer has ended."""
        if self._answer is not None:
            self._answer.cancel()
