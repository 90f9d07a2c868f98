"""The `input` of a Responses request, item by item, into a conversation."""

import json
from collections.abc import Callable
from typing import Any

from qwen_worker.api.responses.content import parts_of
from qwen_worker.api.responses.conversation import Conversation
from qwen_worker.api.responses.item_ids import Carried, kind_of, read_id
from qwen_worker.api.responses.tools import Tools
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import parse_object
from qwen_worker.validation import missing, text_in, unfit

MOST_CARRIED_TEXT = 4_000_000
"""How many characters the ids in one request may unpack to: a small id may hold a long text."""

_ROLES = ("user", "assistant", "system", "developer")

Take = Callable[["_Reader", dict[str, Any], str], None]


def read_input(value: Any, tools: Tools, conversation: Conversation) -> list[str]:
    """Adds the `input` to the conversation. Returns the types of the items that were left out.

    Raises InvalidRequest for an item that cannot be understood. A type that is not known is left out:
    what hosted tools did, and what newer clients invent, means nothing to Qwen.
    """
    if isinstance(value, str):
        conversation.add_message("user", [{"type": "text", "text": value}])
        return []
    if not isinstance(value, list):
        raise unfit("input", "a string or an array", value)
    reader = _Reader(value, tools, conversation)
    for index, item in enumerate(value):
        reader.take(item, f"input[{index}]")
    return reader.ignored


def tools_in_input(value: Any) -> list[Any]:
    """The tools that `additional_tools` items bring."""
    items = value if isinstance(value, list) else []
    return [
        tool
        for item in items
        if isinstance(item, dict) and item.get("type") == "additional_tools"
        for tool in (item.get("tools") or [])
        if isinstance(tool, dict)
    ]


class _Reader:
    def __init__(self, items: list[Any], tools: Tools, conversation: Conversation) -> None:
        self.tools = tools
        self.conversation = conversation
        self.ignored: list[str] = []
        self._items = items
        self._carried: dict[str, str] | None = None
        self._room = MOST_CARRIED_TEXT

    def take(self, item: Any, where: str) -> None:
        if not isinstance(item, dict):
            raise unfit(where, "an object", item)
        kind = item.get("type")
        if kind is None:
            # The short forms of a message and of a reference.
            kind = "item_reference" if "role" not in item and "id" in item else "message"
        if not isinstance(kind, str):
            raise unfit(f"{where}.type", "a string", kind)
        take = _TAKERS.get(kind)
        if take is None:
            self.ignored.append(kind)
        else:
            take(self, item, where)

    def read_carried(self, item_id: str, where: str) -> Carried | None:
        """What an id carries. Raises InvalidRequest if all of them carry too much."""
        carried = read_id(item_id)
        if carried is not None:
            self._room -= len(carried.text) + sum(map(len, carried.others.values()))
            if self._room < 0:
                raise InvalidRequest(
                    f"Invalid value for '{where}': the referenced items are too long together. Send the "
                    "items themselves: set `store: false` in the client.",
                    param=where,
                )
        return carried

    def text_carried_elsewhere(self, item_id: str, where: str) -> str | None:
        """The text of an item that another item of this input carries in its id."""
        if self._carried is None:
            self._carried = {}
            for item in self._items:
                other_id = item.get("id") if isinstance(item, dict) else None
                if isinstance(other_id, str) and other_id.startswith("rs_"):
                    carried = self.read_carried(other_id, where)
                    self._carried.update(carried.others if carried is not None else {})
        return self._carried.get(item_id)


def _message(reader: _Reader, item: dict[str, Any], where: str) -> None:
    role = text_in(item, "role", where)
    if role not in _ROLES:
        raise InvalidRequest(
            f"Invalid value for '{where}.role'. Supported values are: "
            "'user', 'assistant', 'system', and 'developer'.",
            param=f"{where}.role",
        )
    parts = parts_of(item.get("content"), f"{where}.content")
    if role == "assistant":
        reader.conversation.add_text(parts)
    else:
        reader.conversation.add_message(role, parts)


def _reasoning(reader: _Reader, item: dict[str, Any], where: str) -> None:
    """The reasoning itself if it is there, its summary otherwise. `encrypted_content` is another vendor's."""
    for name in ("content", "summary"):
        parts = parts_of(item.get(name) or [], f"{where}.{name}")
        texts = [part["text"] for part in parts if part["type"] == "text" and part["text"]]
        if texts:
            reader.conversation.add_reasoning("\n\n".join(texts))
            return


def _function_call(reader: _Reader, item: dict[str, Any], where: str) -> None:
    arguments = item.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments)
    elif not isinstance(arguments, str):
        raise unfit(f"{where}.arguments", "a string", arguments)
    _add_call(reader, item, where, _valid_arguments(arguments))


def _custom_call(reader: _Reader, item: dict[str, Any], where: str) -> None:
    _add_call(reader, item, where, json.dumps({"input": text_in(item, "input", where)}))


def _add_call(reader: _Reader, item: dict[str, Any], where: str, arguments: str) -> None:
    namespace = item.get("namespace")
    function = reader.tools.function_of(
        text_in(item, "name", where), namespace if isinstance(namespace, str) and namespace else None
    )
    reader.conversation.add_call(text_in(item, "call_id", where), function, arguments)


def _result(reader: _Reader, item: dict[str, Any], where: str) -> None:
    output = item.get("output")
    if output is None:
        output = ""
    elif not isinstance(output, str | list):
        output = json.dumps(output)
    reader.conversation.add_result(text_in(item, "call_id", where), parts_of(output, f"{where}.output"))


def _reference(reader: _Reader, item: dict[str, Any], where: str) -> None:
    item_id = text_in(item, "id", where)
    carried = reader.read_carried(item_id, f"{where}.id")
    text = carried.text if carried is not None else reader.text_carried_elsewhere(item_id, f"{where}.id")
    if text is None:
        raise InvalidRequest(
            "This gateway keeps no responses, so it does not know the item that this id refers to. Send the "
            "item itself: set `store: false` in the client (in the Vercel AI SDK: "
            "`providerOptions: { openai: { store: false } }`).",
            param=f"{where}.id",
            code="item_not_found",
        )
    if not text:
        return
    if kind_of(item_id) == "rs":
        reader.conversation.add_reasoning(text)
    else:
        reader.conversation.add_text([{"type": "text", "text": text}])


def _nothing(reader: _Reader, item: dict[str, Any], where: str) -> None:
    """`additional_tools`: see `tools_in_input`."""


_TAKERS: dict[str, Take] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "custom_tool_call": _custom_call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "item_reference": _reference,
    "additional_tools": _nothing,
}


def _valid_arguments(arguments: str) -> str:
    """Arguments that are a JSON object, as Qwen's hosts demand: what a model spoiled is kept as a text in
    one, so that it sees its mistake.
    """
    if not arguments.strip():
        return "{}"
    return arguments if parse_object(arguments) is not None else json.dumps({"invalid_arguments": arguments})


def check_input_is_there(body: dict[str, Any]) -> None:
    """Raises InvalidRequest, with the way out, if a body has no `input`."""
    if body.get("input") is not None:
        return
    if "messages" in body:
        raise InvalidRequest(
            "Missing required parameter: 'input'. The body has 'messages', as Chat Completions takes them; "
            "this endpoint speaks the Responses API: send them as 'input', or use /v1/chat/completions.",
            param="input",
            code="missing_required_parameter",
        )
    raise missing("input")
