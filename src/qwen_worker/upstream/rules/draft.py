"""A chat body while rules change it, and the type of a rule."""

import json
from collections.abc import Callable
from typing import Any

from qwen_worker.models import facts_of
from qwen_worker.upstream.chat_body import ChatBody


class Draft:
    """The client's text, and the changes to it.

    `fields` holds the current value of each top-level field; of changed ones, `_texts` holds the JSON text.
    """

    __slots__ = ("_message_edits", "_texts", "body", "facts", "fields", "model", "named_model", "stream")

    def __init__(self, body: ChatBody, named_model: str | None, model: str) -> None:
        """`named_model` is what the client names, `model` what Qwen is asked for."""
        self.body = body
        self.named_model = named_model
        self.model = model
        self.facts = facts_of(model)
        self.stream: bool = body.value("stream") is True
        self.fields: dict[str, Any] = {name: member.value for name, member in body.members.items()}
        self._texts: dict[str, str] = {}
        self._message_edits: list[tuple[int, int, str]] = []

    def get(self, name: str) -> Any:
        """A field's current value, or None."""
        return self.fields.get(name)

    def set(self, name: str, value: Any, text: str | None = None) -> None:
        """Gives a field a value, spelled as `text`."""
        self.fields[name] = value
        self._texts[name] = json.dumps(value) if text is None else text

    def drop(self, name: str) -> None:
        """Leaves a field out, if it is there."""
        self.fields.pop(name, None)
        self._texts.pop(name, None)

    def text_of(self, name: str) -> str:
        """The current JSON text of a field that is there (not of `messages`)."""
        text = self._texts.get(name)
        if text is None:
            member = self.body.members[name]
            text = self.body.text[member.value_start : member.end]
        return text

    def edit_messages(self, start: int, end: int, text: str) -> None:
        """Replaces `body.text[start:end]`, a place within the messages. Places must not overlap."""
        self._message_edits.append((start, end, text))

    def to_bytes(self) -> bytes:
        """The body as it is sent: the client's own bytes if nothing is different."""
        body = self.body
        if (
            body.is_unique
            and not self._texts
            and not self._message_edits
            and len(self.fields) == len(body.members)
        ):
            return body.raw
        raw = memoryview(body.raw)
        pieces: list[bytes | memoryview] = []
        for name in self.fields:
            pieces.append(b"," if pieces else b"{")
            text = self._texts.get(name)
            if text is None:
                self._add_member(pieces, name, raw)
            else:
                pieces.append(f'"{name}":{text}'.encode("latin-1"))
        pieces.append(b"}")
        return b"".join(pieces)

    def _add_member(self, pieces: list[bytes | memoryview], name: str, raw: memoryview) -> None:
        """Adds a member as the client spelled it, without a copy; of the messages, with the edits."""
        _, position, _, end = self.body.members[name]
        if name == "messages":
            for edit_start, edit_end, replacement in sorted(self._message_edits):
                pieces += (raw[position:edit_start], replacement.encode("latin-1"))
                position = edit_end
        pieces.append(raw[position:end])


Rule = Callable[[Draft], None]
"""Changes what a host would refuse, or what it knows by another name."""
