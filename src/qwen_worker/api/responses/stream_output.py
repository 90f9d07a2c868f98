"""The output of a stream while it grows: which item is open, and what waits until it is closed.

Clients take one item at a time. Qwen may think of several at once (calls with interleaved arguments), so what
comes for another item waits, unless the open item is known to be complete.
"""

from typing import Any

from qwen_worker.api.responses.item_ids import Ids
from qwen_worker.api.responses.output_items import TextKind, is_complete, reasoning_item
from qwen_worker.api.responses.stream_items import Events, Item, call, dumps, message, reasoning
from qwen_worker.api.responses.tools import Tools


class _Growing:
    """An item, what it has said so far, and what of it is not sent yet."""

    __slots__ = ("fresh", "is_open", "item", "kind", "sent")

    def __init__(self, item: Item, kind: str) -> None:
        self.item = item
        self.kind = kind
        self.sent: list[str] = []
        self.fresh: list[str] = []
        self.is_open = False

    def text(self) -> str:
        return "".join(self.sent)


class _Call:
    """A call that the host has begun to send; `growing` is set once its name is known. `host_id` may be empty
    or equal another call's id; `id` is never empty and unique.
    """

    __slots__ = ("arguments", "growing", "host_id", "id")

    def __init__(self, host_id: str, call_id: str) -> None:
        self.host_id = host_id
        self.id = call_id
        self.arguments: list[str] = []
        self.growing: _Growing | None = None

    def is_other(self, host_id: str) -> bool:
        """Whether this id of the host's is the id of another call."""
        return bool(host_id and self.host_id and host_id != self.host_id)


class StreamOutput:
    """Takes deltas, adds events."""

    def __init__(self, events: Events, ids: Ids, tools: Tools) -> None:
        self._events = events
        self._ids = ids
        self._tools = tools
        self._items: list[_Growing] = []
        self._done: list[str] = []
        self._count = 0
        self._calls: dict[int, _Call] = {}
        self._all_calls: list[_Call] = []
        """The calls; the one that the host spoke of last is last."""
        self._call_ids: set[str] = set()
        self.texts: dict[str, str] = {}
        """The texts of the messages and of the reasoning that are closed, by the ids of their items."""

    def add_reasoning(self, text: str) -> None:
        """More of what the model thinks."""
        self._growing_text("reasoning").fresh.append(text)

    def add_text(self, text: str, kind: TextKind = "output_text", logprobs: list[Any] | None = None) -> None:
        """More of what the model says."""
        growing = self._growing_text(kind)
        growing.fresh.append(text)
        if logprobs:
            growing.item.logprobs += logprobs

    def add_call(self, delta: dict[str, Any]) -> None:
        """A part of a tool call, as chat has it in `tool_calls`."""
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = function.get("name"), function.get("arguments")
        name = name if isinstance(name, str) else ""
        known = self._call_of(delta, name)
        if known.growing is None and name:
            tool = self._tools.tool_of(name)
            item = call(self._ids.plain("fc"), self._next_index(), tool, known.id)
            known.growing = self._append(item, "call")
            known.growing.fresh += known.arguments
        if isinstance(arguments, str) and arguments:
            (known.arguments if known.growing is None else known.growing.fresh).append(arguments)

    def flush(self) -> None:
        """Sends what has come for the open item, as one event, and closes it if it is over."""
        while self._items:
            head = self._items[0]
            self._send(head)
            if len(self._items) == 1 or not _is_over(head):
                return
            self._close_first()

    def finish(self) -> list[str]:
        """Closes everything: the answer is whole. Returns the JSON of the items."""
        while self._items:
            self._send(self._items[0])
            self._close_first()
        return self._done

    def cut(self) -> list[str]:
        """Closes what can be closed of an answer that is too long. A call whose arguments were cut off stays
        open, because clients run calls that are closed.
        """
        while self._items:
            head = self._items[0]
            self._send(head)
            if head.item.is_call and not is_complete(head.text()):
                break
            is_last = len(self._items) == 1
            self._close_first("incomplete" if is_last and not head.item.is_call else "completed")
        return self.abandon()

    def abandon(self) -> list[str]:
        """Closes nothing. Returns the JSON of the items, the open one as far as it has come."""
        if self._items and self._items[0].is_open:
            head = self._items[0]
            self._send(head)
            self._done.append(dumps(head.item.whole(head.text(), "incomplete")))
        self._items = []
        return self._done

    def add_carrier(self) -> None:
        """Adds an empty reasoning item whose id carries the texts of the items before it; see `item_ids`."""
        item_id = self._ids.carrying_others(self.texts)
        if item_id is not None:
            index = f'"output_index":{self._next_index()}'
            item = dumps(reasoning_item(item_id, "completed", ""))
            self._events.add("response.output_item.added", f'{index},"item":{item}')
            self._events.add("response.output_item.done", f'{index},"item":{item}')
            self._done.append(item)

    def _growing_text(self, kind: str) -> _Growing:
        """The last item, if it is of this kind; else a new one."""
        if self._items and self._items[-1].kind == kind:
            return self._items[-1]
        index = self._next_index()
        if kind == "reasoning":
            return self._append(reasoning(self._ids.plain("rs"), index), kind)
        part: TextKind = "refusal" if kind == "refusal" else "output_text"
        return self._append(message(self._ids.plain("msg"), index, part), kind)

    def _append(self, item: Item, kind: str) -> _Growing:
        growing = _Growing(item, kind)
        self._items.append(growing)
        self.flush()
        return growing

    def _next_index(self) -> int:
        self._count += 1
        return self._count - 1

    def _send(self, growing: _Growing) -> None:
        if not growing.is_open:
            growing.is_open = True
            growing.item.open(self._events)
        if growing.fresh:
            text = "".join(growing.fresh)
            growing.fresh = []
            growing.sent.append(text)
            growing.item.add(self._events, text)

    def _close_first(self, status: Any = "completed") -> None:
        growing = self._items.pop(0)
        text = growing.text()
        self._done.append(growing.item.close(self._events, text, status))
        if not growing.item.is_call:
            self.texts[growing.item.id] = text

    def _call_of(self, delta: dict[str, Any], name: str) -> _Call:
        """The call that a delta belongs to.

        Found by the index. Some hosts give no index: then the id decides, and a delta without an id belongs
        to the last call. Some give all calls the same index: then a new id with a name is a new call. Qwen
        repeats the id as "".
        """
        index, call_id = delta.get("index"), delta.get("id")
        call_id = call_id if isinstance(call_id, str) else ""
        if isinstance(index, int):
            known = self._calls.get(index)
            if known is not None and known.growing is not None and name and known.is_other(call_id):
                known = None
        elif call_id:
            known = next((call for call in self._all_calls if call.host_id == call_id), None)
        else:
            known = self._all_calls[-1] if self._all_calls else None
        if known is None:
            known = _Call(call_id, self._free_call_id(call_id))
        else:
            self._all_calls.remove(known)
        self._all_calls.append(known)
        if isinstance(index, int):
            self._calls[index] = known
        return known

    def _free_call_id(self, call_id: str) -> str:
        if not call_id or call_id in self._call_ids:
            call_id = self._ids.plain("call")
        self._call_ids.add(call_id)
        return call_id


def _is_over(growing: _Growing) -> bool:
    """Whether an item gets no more, now that another one has begun."""
    return not growing.item.is_call or is_complete(growing.text())
