"""A Messages body for a host that speaks Messages, while rules change it: the client's text, and the changes.

What no rule changes is sent as the client spelled it, item by item; if nothing is different, its very bytes.
"""

import json
from collections.abc import Callable
from typing import Any

from qwen_worker.api.messages.request import Array, MessagesRequest, plain
from qwen_worker.json_scan import decoded

ItemRule = Callable[[dict[str, Any]], dict[str, Any] | None]
"""An item as a host takes it: the very same object if nothing is different, None to leave it out."""


class Draft:
    """The body while rules change it. Values of strings with non-ASCII characters are not decoded (see
    `json_text`).
    """

    __slots__ = ("_changed_items", "_texts", "fields", "request")

    def __init__(self, request: MessagesRequest) -> None:
        self.request = request
        self.fields: dict[str, Any] = {name: plain(member.value) for name, member in request.members.items()}
        self._texts: dict[str, str] = {}
        self._changed_items: dict[str, dict[int, str | None]] = {}

    def get(self, name: str) -> Any:
        """A field's current value, or None."""
        return self.fields.get(name)

    def read(self, name: str) -> Any:
        """A field's current value with its strings decoded, or None; of an array that is still as it came."""
        text = self._texts.get(name)
        if text is None and name in self.fields:
            member = self.request.members[name]
            text = self.request.text[member.value_start : member.end]
        return None if text is None else decoded(text)

    def set(self, name: str, value: Any) -> None:
        """Gives a field a value, decoded."""
        self.fields[name] = value
        self._texts[name] = json.dumps(value)

    def drop(self, name: str) -> None:
        """Leaves a field out, if it is there."""
        self.fields.pop(name, None)
        self._texts.pop(name, None)
        self._changed_items.pop(name, None)

    def change_items(self, name: str, rule: ItemRule) -> None:
        """Applies a rule to each item of an array; a field that is something else stays. Once for each
        field.
        """
        member = self.request.members.get(name)
        if member is None or not isinstance(member.value, Array) or name not in self.fields:
            return
        values, items = member.value
        changed: dict[int, str | None] = {}
        left: list[Any] = []
        for index, value in enumerate(values):
            result = rule(value)
            if result is not value:
                if result is not None:
                    text = self.request.text[items.start(index) : items.end(index)]
                    result = rule(decoded(text))
                changed[index] = None if result is None else json.dumps(result, separators=(",", ":"))
            if result is not None:
                left.append(result)
        if changed:
            self.fields[name] = left
            self._changed_items[name] = changed

    def body(self) -> bytes:
        """The body as it is sent: the client's own bytes if nothing is different."""
        request = self.request
        if (
            request.is_unique
            and not self._texts
            and not self._changed_items
            and len(self.fields) == len(request.members)
        ):
            return request.raw
        pieces: list[bytes | memoryview] = []
        for name in self.fields:
            pieces.append(b"," if pieces else b"{")
            text = self._texts.get(name)
            if text is not None:
                pieces.append(f'"{name}":{text}'.encode("latin-1"))
            elif name in self._changed_items:
                pieces.append(f'"{name}":'.encode("latin-1"))
                pieces += self._array(name)
            else:
                member = request.members[name]
                pieces.append(memoryview(request.raw)[member.start : member.end])
        pieces.append(b"}")
        return b"".join(pieces)

    def _array(self, name: str) -> list[bytes | memoryview]:
        """The text of an array of which items are different: unchanged neighbours are copied in one piece."""
        member = self.request.members[name]
        _, items = member.value
        raw = memoryview(self.request.raw)
        pieces: list[bytes | memoryview] = []
        unchanged_from = 0
        changed = self._changed_items[name]
        for index in (*sorted(changed), items.count):
            if index > unchanged_from:
                pieces += (b",", raw[items.start(unchanged_from) : items.end(index - 1)])
            text = changed.get(index)
            if text is not None:
                pieces += (b",", text.encode("ascii"))
            unchanged_from = index + 1
        return [b"[", *pieces[1:], b"]"]
