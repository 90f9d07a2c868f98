"""The content blocks of a streamed message: turns what the host has sent into the events that may be sent
now.

Anthropic's grammar (apis-on-the-wire 3.2): blocks have rising indexes, one is open at a time, and each is
started, gets deltas and is stopped. A chat completion has no such order: parts of several tool calls may be
mixed, incomplete or empty. So blocks wait in a queue: the first is sent while it grows, the others wait until
it is complete.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from qwen_worker.json_text import JsonTextError, parse

TextKind = Literal["text", "thinking"]

_STARTED = {
    "text": '{"type":"text","text":""}',
    "thinking": '{"type":"thinking","thinking":"","signature":""}',
}
_DELTA = {"text": '"text_delta","text"', "thinking": '"thinking_delta","thinking"'}


class _Text:
    """A text or thinking block. One of white space only is never sent: Anthropic's API refuses it when the
    client sends it back.
    """

    __slots__ = ("_unsent", "is_open", "kind")
    is_complete = True
    """Something else follows: no more of this text will come."""

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self.is_open = False
        self._unsent: list[str] = []

    def add(self, text: str) -> None:
        self._unsent.append(text)

    def events(self, index: int, *, is_last_time: bool) -> str:
        text = "".join(self._unsent)
        if not text or not (self.is_open or text.strip()):
            return ""
        start = "" if self.is_open else _start(index, _STARTED[self.kind])
        self.is_open = True
        self._unsent.clear()
        return start + _delta(index, f"{_DELTA[self.kind]}:{json.dumps(text)}")


class _Call:
    """A tool_use block. It starts when id and name are known; arguments may have come before."""

    __slots__ = ("_sent", "_unsent", "call_id", "is_open", "name")

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.is_open = False
        self._sent: list[str] = []
        self._unsent: list[str] = []

    @property
    def arguments(self) -> str:
        return "".join(self._sent + self._unsent)

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are whole. No arguments may mean that they are still to come."""
        try:
            parse(self.arguments)
        except JsonTextError:
            return False
        return True

    def add(self, arguments: str) -> None:
        self._unsent.append(arguments)

    def events(self, index: int, *, is_last_time: bool) -> str:
        if not (self.call_id and self.name):
            return ""
        start = ""
        if not self.is_open:
            started = f'{{"type":"tool_use","id":{json.dumps(self.call_id)},"name":{json.dumps(self.name)}'
            start = _start(index, f'{started},"input":{{}}}}')
            self.is_open = True
        unsent = "".join(self._unsent)
        if not self._sent and "null".startswith(unsent.strip()):
            # Nothing yet, or what some models write for nothing.
            unsent = "{}" if is_last_time else ""
        if not unsent:
            return start
        self._sent += self._unsent
        self._unsent.clear()
        return start + _delta(index, f'"input_json_delta","partial_json":{json.dumps(unsent)}')


class Blocks:
    """The blocks of one message."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._waiting: list[_Text | _Call] = []
        self._calls: dict[int, _Call] = {}
        self._last_call: _Call | None = None
        self._index = 0
        self.size_bytes = 0
        """How much texts and arguments are in UTF-8."""
        self.called = False
        """Whether a tool was called."""
        self.is_call_cut = False
        """Whether the arguments of a call were not whole at the end."""
        self.is_call_nameless = False
        """Whether a call had arguments, but no name until the end: the client cannot be told of it."""

    def add_text(self, kind: TextKind, text: str) -> None:
        """A piece of the answer's text or thinking."""
        self.size_bytes += _size(text)
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, _Text) or last.kind != kind:
            last = _Text(kind)
            self._waiting.append(last)
        last.add(text)

    def add_call(self, delta: Mapping[str, Any]) -> None:
        """An item of a delta's `tool_calls`.

        Qwen repeats the id as "" in later chunks; some hosts number every call 0, so that a new id is a new
        call.
        """
        function = delta.get("function")
        function = function if isinstance(function, Mapping) else {}
        call_id, name = _string(delta.get("id")), _string(function.get("name"))
        call = self._call(delta.get("index"), call_id)
        call.call_id = call.call_id or call_id
        call.name = call.name or name
        arguments = function.get("arguments")
        added = json.dumps(arguments) if isinstance(arguments, dict) else _string(arguments)
        if added:
            call.add(added)
            self.size_bytes += _size(added)

    def events(self) -> str:
        """The events that may be sent now."""
        out = ""
        while self._waiting:
            block = self._waiting[0]
            is_complete = len(self._waiting) > 1 and block.is_complete
            out += self._events_of(block, is_complete=is_complete)
            if not is_complete:
                break
        return out

    def closing_events(self) -> str:
        """The events that end all blocks."""
        out = ""
        for number, block in enumerate(self._waiting[:]):
            if isinstance(block, _Call):
                block.call_id = block.call_id or f"toolu_{self._message_id}_{number}"
                arguments = block.arguments.strip()
                self.is_call_cut = self.is_call_cut or bool(arguments and not block.is_complete)
                self.is_call_nameless = self.is_call_nameless or bool(arguments and not block.name)
            out += self._events_of(block, is_complete=True)
        return out

    def _call(self, index: Any, call_id: str) -> _Call:
        call = self._calls.get(index) if isinstance(index, int) else self._last_call
        if call is None or (call_id and call.call_id and call_id != call.call_id):
            call = _Call()
            self._waiting.append(call)
            if isinstance(index, int):
                self._calls[index] = call
        self._last_call = call
        return call

    def _events_of(self, block: _Text | _Call, *, is_complete: bool) -> str:
        out = block.events(self._index, is_last_time=is_complete)
        self.called = self.called or (isinstance(block, _Call) and block.is_open)
        if is_complete:
            self._waiting.remove(block)
            if block.is_open:
                out += (
                    f"event: content_block_stop\n"
                    f'data: {{"type":"content_block_stop","index":{self._index}}}\n\n'
                )
                self._index += 1
        return out


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _start(index: int, block: str) -> str:
    data = f'{{"type":"content_block_start","index":{index},"content_block":{block}}}'
    return f"event: content_block_start\ndata: {data}\n\n"


def _delta(index: int, delta: str) -> str:
    data = f'{{"type":"content_block_delta","index":{index},"delta":{{"type":{delta}}}}}'
    return f"event: content_block_delta\ndata: {data}\n\n"
