"""Server-sent events by the specification (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Used where a stream must be understood event by event: to judge how it begins when that is unusual, and to
rewrite it. A healthy stream is relayed without being parsed.
"""

from typing import NamedTuple

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event. `name` is empty for an ordinary message. `comment` is the last comment in its block, which
    the specification ignores and DashScope uses for an error's status.
    """

    data: str
    name: str = ""
    comment: str = ""


class EventParser:
    """Bytes in, events out, whatever the pieces in which the bytes arrive.

    An event is returned as soon as the blank line after it has begun; what is not ended by one is no event.
    """

    __slots__ = ("_comment", "_data", "_line", "_name", "_skip_line_feed", "_started")

    def __init__(self) -> None:
        self._line = b""
        self._started = False
        self._skip_line_feed = False
        self._data: list[str] = []
        self._name = ""
        self._comment = ""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        if self._skip_line_feed and data:
            # The carriage return before it has ended the line already.
            data = data.removeprefix(b"\n")
            self._skip_line_feed = False
        text = self._line + data
        if not self._started:
            if len(text) < 3 and _BYTE_ORDER_MARK.startswith(text):
                self._line = text
                return []
            text = text.removeprefix(_BYTE_ORDER_MARK)
            self._started = True
        self._skip_line_feed = text.endswith(b"\r")
        # Of bytes (unlike of text) these are exactly the specification's line ends: CR, LF and CRLF.
        lines = text.splitlines()
        self._line = lines.pop() if lines and not text.endswith((b"\r", b"\n")) else b""
        return [event for line in lines if (event := self._end_line(line)) is not None]

    def _end_line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif not field:
            self._comment = value
        return None

    def _dispatch(self) -> Event | None:
        event = Event("\n".join(self._data), self._name, self._comment) if self._data else None
        self._data = []
        self._name = ""
        self._comment = ""
        # An event whose data is empty altogether is not dispatched; one with an empty data line is.
        return event
