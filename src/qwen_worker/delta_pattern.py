"""Chunks of a stream that differ from an earlier one in the text of their delta alone.

Nearly all chunks of a completion do. What such a chunk means is known without parsing it: what the earlier
one meant, with another text.
"""

import json
from typing import TYPE_CHECKING, Any

from qwen_worker.json_text import parse_object

if TYPE_CHECKING:
    from qwen_worker.sse import EventParser

_scan_string = json.decoder.scanstring  # type: ignore[attr-defined]

_OPENINGS = tuple(
    (field, f'"{field}":{space}"') for field in ("content", "reasoning_content") for space in ("", " ")
)

_JOINT = 14
"""How much of an event's beginning is looked for."""

MOST_VAIN_ATTEMPTS = 8
"""A host whose chunks differ in more than their text is not worth learning from again and again."""


class DeltaPattern:
    """Learns from a chunk what is around its text, and recognizes it in later ones."""

    __slots__ = ("_after", "_before", "_first", "_is_proven", "_last", "_vain_attempts", "field")

    def __init__(self) -> None:
        self.field = ""
        """Which text of the delta it is: `content` or `reasoning_content`."""
        self._before: str | None = None
        self._after = ""
        self._first = self._last = b""
        """What is around the text in the bytes of an event."""
        self._is_proven = True
        self._vain_attempts = 0

    def text_of(self, data: str) -> str | None:
        """The text of a chunk's delta if all else is as in the chunk that was learnt; None if it is not."""
        before, after = self._before, self._after
        if before is None or not data.startswith(before) or not data.endswith(after):
            return None
        try:
            text, end = _scan_string(data, len(before))
        except ValueError:
            return None
        if end - 1 != len(data) - len(after):
            return None
        self._is_proven = True
        return text  # type: ignore[no-any-return]

    def text_of_events(self, parser: "EventParser", data: bytes) -> tuple[str, bytes]:
        """The text of the events that `data` completes, up to one that differs from the chunk that was learnt
        in more than its text; and what `parser`, which has had all that came before, is to be fed.
        """
        if not self._first or b"\n\n" not in data:
            return "", data
        pending = parser.take_back()
        if pending is None:
            return "", data
        data = pending + data
        found = self._run(data)
        if found is None:
            return "", data
        self._is_proven = True
        text, length = found
        return text, data[length:]

    def _run(self, data: bytes) -> tuple[str, int] | None:
        """The text of the usual events that `data` begins with, and their length; None if there are none, or
        if it is not certain that there are no others between them.
        """
        first, last = self._first, self._last
        if not data.startswith(first):
            return None
        # Within a JSON text there is no line end, so this can only stand between two events.
        between = last + first
        latest = data.rfind(between)
        end = data.find(last, len(first) if latest < 0 else latest + len(between))
        if end < 0:
            end = latest  # of the latest event only the beginning has come
        if end < 0:
            return None
        length = end + len(last)
        # Split where a few bytes of `between` are: finding all of it takes Python three times as long.
        events = data[_JOINT : length - 2].split(b"\n\n" + first[:_JOINT])
        head, tail = len(first) - _JOINT, 2 - len(last)
        texts = [event[head:tail] for event in events]
        if between.join(texts) != data[len(first) : end]:
            return None
        spelled = b"".join(texts)
        if b"\\" in spelled and any(text.endswith(b"\\") for text in texts):
            return None  # what ends the text might be a quotation mark in it
        try:
            quoted = spelled.decode() + '"'
            text, scanned = _scan_string(quoted, 0)
        except ValueError:
            return None
        return (text, length) if scanned == len(quoted) else None

    def learn(self, data: str, chunk: dict[str, Any]) -> None:
        """Takes a chunk for the pattern of later ones, if it is the first choice's and says nothing but a
        text. `chunk` is what `data` says.
        """
        delta = _delta_of_text_alone(chunk)
        if delta is None or self._vain_attempts == MOST_VAIN_ATTEMPTS:
            return
        self._vain_attempts = 0 if self._is_proven else self._vain_attempts + 1
        for field, opening in _OPENINGS:
            before, found, after = data.partition(opening)
            if found and self._take(field, before + opening, after, chunk, delta):
                self._is_proven = False
                return

    def _take(
        self, field: str, before: str, after: str, chunk: dict[str, Any], delta: dict[str, Any]
    ) -> bool:
        """Takes the pattern if what follows `before` is the delta's text: if a chunk with another text there
        differs from `chunk` in nothing else.
        """
        _, end = _scan_string(after, 0)
        after = after[end - 1 :]
        other = parse_object(f"{before}*{after}")
        other_delta = None if other is None else _delta_of_text_alone(other)
        if other_delta is None or other_delta.get(field) != "*":
            return False
        other_delta[field] = delta.get(field)
        if other != chunk:
            return False
        self.field, self._before, self._after = field, before, after
        self._first, self._last = f"data: {before}".encode(), f"{after}\n\n".encode()
        return True


def _delta_of_text_alone(chunk: dict[str, Any]) -> dict[str, Any] | None:
    """The delta of the first choice, if it has one text and there is nothing else in the chunk to note."""
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    if not isinstance(choice, dict) or "error" in chunk or chunk.get("usage"):
        return None
    if choice.get("index") or choice.get("finish_reason") or choice.get("logprobs"):
        return None
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return None
    said = [name for name, value in delta.items() if value and name != "role"]
    return delta if said in (["content"], ["reasoning_content"]) else None
