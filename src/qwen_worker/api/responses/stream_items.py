"""The output items of a stream, each with the events that open it, add to it and close it."""

import json
from typing import Any, Protocol

from qwen_worker.api.responses.output_items import (
    Status,
    TextKind,
    call_item,
    complete_arguments,
    custom_input,
    message_item,
    reasoning_item,
    text_part,
)
from qwen_worker.api.responses.tools import Tool

dumps = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class Events:
    """Collects events. Each has its name in an `event:` line too, and the next sequence number."""

    __slots__ = ("_events", "_sequence_number")

    def __init__(self) -> None:
        self._events: list[str] = []
        self._sequence_number = 0

    def add(self, kind: str, members: str) -> None:
        """Adds an event; `members` is the JSON text of its further members, without braces."""
        number = self._sequence_number
        self._sequence_number = number + 1
        self._events.append(
            f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":{number},{members}}}\n\n'
        )

    def take(self) -> bytes:
        """The events that were added since the last time, to be sent."""
        events, self._events = self._events, []
        return "".join(events).encode()


class Item(Protocol):
    """An item of a stream's output. `text` is what it has said so far, as the host sent it."""

    id: str
    is_call: bool
    logprobs: list[Any]
    """Of a message: the log probabilities of its text so far."""

    def open(self, events: Events) -> None:
        """Announces the item."""

    def add(self, events: Events, text: str) -> None:
        """Sends more of it."""

    def close(self, events: Events, text: str, status: Status) -> str:
        """Says that this was all. Returns the whole item as JSON."""

    def whole(self, text: str, status: Status) -> dict[str, Any]:
        """The item itself."""


def message(item_id: str, output_index: int, kind: TextKind) -> Item:
    """A message of one part: text, or a refusal."""
    return _Message(item_id, output_index, kind)


def reasoning(item_id: str, output_index: int) -> Item:
    """Reasoning. It streams as a summary, which most clients show; as itself it comes at once, at the end."""
    return _Reasoning(item_id, output_index)


def call(item_id: str, output_index: int, tool: Tool, call_id: str) -> Item:
    """A call of a function, or of a custom tool, whose input can only be told from the whole arguments."""
    return _Call(item_id, output_index, tool, call_id)


class _Item:
    """What all items have in common: the place in the output, and the events around the others."""

    def __init__(self, item_id: str, output_index: int) -> None:
        self.id = item_id
        self.logprobs: list[Any] = []
        self._place = f'"item_id":"{item_id}","output_index":{output_index}'
        self._index = f'"output_index":{output_index}'

    def _announce(self, events: Events, item: dict[str, Any]) -> None:
        events.add("response.output_item.added", f'{self._index},"item":{dumps(item)}')

    def _finish(self, events: Events, item: dict[str, Any]) -> str:
        text = dumps(item)
        events.add("response.output_item.done", f'{self._index},"item":{text}')
        return text


class _Message(_Item):
    is_call = False

    def __init__(self, item_id: str, output_index: int, kind: TextKind) -> None:
        super().__init__(item_id, output_index)
        self._part_place = f'{self._place},"content_index":0'
        self._kind = kind
        self._event = f"response.{kind}"
        self._sent_logprobs = 0

    def open(self, events: Events) -> None:
        self._announce(events, message_item(self.id, "in_progress", []))
        part = dumps(text_part(self._kind, "", []))
        events.add("response.content_part.added", f'{self._part_place},"part":{part}')

    def add(self, events: Events, text: str) -> None:
        extra = ""
        if self._kind == "output_text":
            fresh = self.logprobs[self._sent_logprobs :]
            self._sent_logprobs = len(self.logprobs)
            extra = f',"logprobs":{dumps(fresh)}' if fresh else ',"logprobs":[]'
        events.add(f"{self._event}.delta", f'{self._part_place},"delta":{dumps(text)}{extra}')

    def close(self, events: Events, text: str, status: Status) -> str:
        part = text_part(self._kind, text, self.logprobs)
        told = {name: value for name, value in part.items() if name in ("text", "refusal", "logprobs")}
        events.add(f"{self._event}.done", f"{self._part_place},{dumps(told)[1:-1]}")
        events.add("response.content_part.done", f'{self._part_place},"part":{dumps(part)}')
        return self._finish(events, message_item(self.id, status, [part]))

    def whole(self, text: str, status: Status) -> dict[str, Any]:
        return message_item(self.id, status, [text_part(self._kind, text, self.logprobs)])


class _Reasoning(_Item):
    is_call = False

    def open(self, events: Events) -> None:
        self._announce(events, reasoning_item(self.id, "in_progress", ""))
        part = '"part":{"type":"summary_text","text":""}'
        events.add("response.reasoning_summary_part.added", f'{self._place},"summary_index":0,{part}')

    def add(self, events: Events, text: str) -> None:
        events.add(
            "response.reasoning_summary_text.delta", f'{self._place},"summary_index":0,"delta":{dumps(text)}'
        )

    def close(self, events: Events, text: str, status: Status) -> str:
        said = dumps(text)
        summary = f'{self._place},"summary_index":0'
        events.add("response.reasoning_summary_text.done", f'{summary},"text":{said}')
        part = f'"part":{{"type":"summary_text","text":{said}}}'
        events.add("response.reasoning_summary_part.done", f"{summary},{part}")
        content = f'{self._place},"content_index":0'
        empty = '"part":{"type":"reasoning_text","text":""}'
        events.add("response.content_part.added", f"{content},{empty}")
        events.add("response.reasoning_text.delta", f'{content},"delta":{said}')
        events.add("response.reasoning_text.done", f'{content},"text":{said}')
        part = f'"part":{{"type":"reasoning_text","text":{said}}}'
        events.add("response.content_part.done", f"{content},{part}")
        return self._finish(events, self.whole(text, status))

    def whole(self, text: str, status: Status) -> dict[str, Any]:
        return reasoning_item(self.id, status, text)


class _Call(_Item):
    is_call = True

    def __init__(self, item_id: str, output_index: int, tool: Tool, call_id: str) -> None:
        super().__init__(item_id, output_index)
        self._tool = tool
        self._call_id = call_id

    def open(self, events: Events) -> None:
        self._announce(events, call_item(self.id, "in_progress", self._tool, self._call_id, ""))

    def add(self, events: Events, text: str) -> None:
        if self._tool.kind == "function":
            events.add("response.function_call_arguments.delta", f'{self._place},"delta":{dumps(text)}')

    def close(self, events: Events, text: str, status: Status) -> str:
        arguments = complete_arguments(text)
        if self._tool.kind == "custom":
            said = dumps(custom_input(arguments))
            if said != '""':
                events.add("response.custom_tool_call_input.delta", f'{self._place},"delta":{said}')
            events.add("response.custom_tool_call_input.done", f'{self._place},"input":{said}')
        else:
            if arguments != text:
                self.add(events, arguments[len(text) :])
            name = f'"name":{dumps(self._tool.name)}'
            events.add(
                "response.function_call_arguments.done",
                f'{self._place},{name},"arguments":{dumps(arguments)}',
            )
        return self._finish(events, self.whole(arguments, status))

    def whole(self, text: str, status: Status) -> dict[str, Any]:
        return call_item(self.id, status, self._tool, self._call_id, text)
