"""The two interfaces between an API and the rest of the gateway.

A *dialect* is one wire format: how it words errors and keep-alives for a client, and how a healthy stream of
a host begins and ends. A *translator* turns what a host sends, in the host's dialect, into what the client
reads.

Only the values exist at run time. The Protocols are for type checkers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qwen_worker.errors import ProxyError

if TYPE_CHECKING:
    from typing import Protocol

    from qwen_worker.sse import Event
    from qwen_worker.stream_tail import StreamTail
else:
    Protocol = object

Relaying = Literal["native", "repaired"]
"""How a stream can be passed on: byte for byte, or only after a repair."""

EventError = Callable[["Event", Any], "ProxyError | None"]
"""The error in an event whose data is a JSON value; None if there is none."""


class Completion(NamedTuple):
    """What became of an answer."""

    error: ProxyError | None = None
    """Why it is not whole, if it is not."""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    """The token counts as the host told them."""


class StreamEnd(NamedTuple):
    """How a natively relayed stream ends."""

    closing: bytes
    """What must still be sent so that the stream ends as clients expect it."""
    completion: Completion


class Dialect(Protocol):
    """A wire format. Nothing here does I/O."""

    def error_body(self, error: ProxyError, request_id: str) -> str:
        """An error as the body of a response, JSON text."""

    def error_ending(self, error: ProxyError) -> bytes:
        """Ends a stream with an error after nothing but keep-alives was sent."""

    def keep_alive(self) -> bytes:
        """What tells a waiting client that the stream is alive."""

    def is_healthy_start(self, start: bytes) -> bool:
        """Whether a host's stream surely begins well. Does not parse it."""

    def classify_first_event(self, event: "Event", start: bytes, event_error: EventError) -> Relaying | None:
        """How a stream that begins with `event` (its bytes so far: `start`) can be passed on; None if only
        the next event can tell.

        Raises the ProxyError that the host sent in its place, or UpstreamBlocked for something else.
        """

    def is_done(self, tail: "StreamTail") -> bool:
        """Whether the end of a stream went through, and nothing after it."""

    def end_of_stream(
        self, tail: "StreamTail", failure: ProxyError | None, event_error: EventError
    ) -> StreamEnd:
        """How to end a stream that went to the client as it came. `failure` is what ended it; None: the host
        did.
        """

    def completion_of(self, answer: Any) -> Completion | None:
        """What became of a whole answer (a JSON value); None if it is no answer of this API."""


class Translator(Protocol):
    """Turns a host's answer into what the client reads. Each request has its own.

    The properties are complete after `end`.
    """

    @property
    def error(self) -> ProxyError | None:
        """Why the answer is not whole, if it is not."""

    @property
    def finish_reason(self) -> str | None:
        """How the completion ended, in the host's word."""

    @property
    def usage(self) -> dict[str, Any] | None:
        """The token counts as the host told them."""

    @property
    def is_over(self) -> bool:
        """Whether the host may send nothing more: its stream has ended, or an error has come."""

    def feed(self, data: bytes) -> bytes:
        """What to send when `data`, cut anywhere, has arrived; may be empty."""

    def end(self, failure: ProxyError | None) -> bytes:
        """What ends the stream. `failure` is what ended it, None if the host did."""

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The client's whole answer, made of the host's."""
