"""Server-sent events by the specification (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Used where a stream must be understood event by event: to examine an unusual beginning, and to translate it. A
healthy stream is relayed without being parsed.
"""

from typing import NamedTuple

from qwen_worker.json_text import BYTE_ORDER_MARK


class Event(NamedTuple):
    """One event. `name` is empty for an ordinary message. `comment` is the last comment in its block, which
    the specification ignores and DashScope uses for an error's status.
    """

    data: str
    name: str = ""
    comment: str = ""


class EventParser:
    """Turns bytes, cut anywhere, into events.

    An event is returned as soon as the blank line after it has begun; what is not ended by one is no event.
    """

    __slots__ = ("_comment", "_data", "_name", "_pieces", "_skip_line_feed", "_started")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """The beginning of a line whose end has not come yet."""
        self._started = False
        self._skip_line_feed = False
        self._data: list[str] = []
        self._name = ""
        self._comment = ""

    @property
    def has_data(self) -> bool:
        """Whether data of an event that is not complete has come, or the beginning of a line that may be."""
        return bool(self._data) or any(not piece.startswith(b":") for piece in self._pieces[:1])

    def take_back(self) -> bytes | None:
        """Takes back what has come of the next event, maybe nothing, for whoever feeds it again; None if
        whole lines of it have come, or if none has begun yet.
        """
        if not self._started or self._data or self._name or self._comment:
            return None
        pending = b"".join(self._pieces)
        self._pieces.clear()
        return pending

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Takes time in proportion to `data`, however it is cut."""
        if self._skip_line_feed and data:
            # The carriage return before it has ended the line already.
            data = data.removeprefix(b"\n")
            self._skip_line_feed = False
        if not self._started:
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
            if len(data) < 3 and BYTE_ORDER_MARK.startswith(data):
                self._pieces.append(data)
                return []
            data = data.removeprefix(BYTE_ORDER_MARK)
            self._started = True
        if not data:
            return []
        self._skip_line_feed = data.endswith(b"\r")
        if b"\n" not in data and b"\r" not in data:
            self._pieces.append(data)
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
        events: list[Event] = []
        if b"\r" not in data and not (self._data or self._name or self._comment):
            whole, blank_line, data = data.rpartition(b"\n\n")
            if blank_line:
                events += self._blocks(whole.decode("utf-8", "replace"))
        # `splitlines` of bytes, unlike that of text, splits at the specification's line ends only: CR, LF and
        # CRLF.
        lines = data.splitlines()
        if data and not data.endswith((b"\r", b"\n")):
            self._pieces.append(lines.pop())
        self._end_lines([line.decode("utf-8", "replace") for line in lines], events)
        return events

    def _blocks(self, text: str) -> list[Event]:
        """The events of whole blocks, without the last blank line."""
        events: list[Event] = []
        for block in text.split("\n\n"):
            if block.startswith("data: ") and "\n" not in block:
                events.append(Event(block[6:]))
            else:
                self._end_lines([*block.split("\n"), ""], events)
        return events

    def _end_lines(self, lines: list[str], events: list[Event]) -> None:
        for line in lines:
            event = self._end_line(line)
            if event is not None:
                events.append(event)

    def _end_line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
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
