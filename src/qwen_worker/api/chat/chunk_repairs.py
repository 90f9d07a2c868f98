"""What is mended in single chunks of a stream. Each rule says which clients break without it."""

from typing import Any

MOST_TOOL_CALLS = 1000
"""A fragment with a larger index counts as one without."""


class ChunkRepairs:
    """The rules, and what they remember of one stream: the tool calls of each choice."""

    __slots__ = ("_tool_calls",)

    def __init__(self) -> None:
        self._tool_calls: dict[int, _ToolCalls] = {}

    def apply(self, chunk: dict[str, Any]) -> bool:
        """Mends a chunk in place. Returns whether there was anything to mend."""
        choices = chunk.get("choices")
        is_changed = False
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                is_changed |= self._apply_to_choice(choice)
        return is_changed

    def _apply_to_choice(self, choice: dict[str, Any]) -> bool:
        index = choice.get("index")
        calls = self._tool_calls.setdefault(index if isinstance(index, int) else 0, _ToolCalls())
        is_changed = void_empty_finish_reason(choice)
        delta = choice.get("delta")
        fragments = delta.get("tool_calls") if isinstance(delta, dict) else None
        for fragment in fragments if isinstance(fragments, list) else ():
            if isinstance(fragment, dict):
                is_changed |= calls.give_index(fragment)
                is_changed |= drop_null_name(fragment)
        return calls.name_finish_reason(choice) or is_changed


def give_usage_choices(chunk: dict[str, Any]) -> bool:
    """Gives a last chunk of usage an empty `choices` if it has none: the OpenAI SDKs expect a list."""
    if chunk.get("choices") is not None or not isinstance(chunk.get("usage"), dict):
        return False
    chunk["choices"] = []
    return True


def void_empty_finish_reason(choice: dict[str, Any]) -> bool:
    """`finish_reason: ""` stands for null: LangChain and the AI SDK take any text for the end."""
    if choice.get("finish_reason") != "":
        return False
    choice["finish_reason"] = None
    return True


def drop_null_name(fragment: dict[str, Any]) -> bool:
    """A later fragment with `"name": null` wipes out the name that the first one gave (openai-clients)."""
    function = fragment.get("function")
    if not isinstance(function, dict) or function.get("name", "") is not None:
        return False
    del function["name"]
    return True


class _ToolCalls:
    """The tool calls of one choice so far."""

    __slots__ = ("_ids", "_repeats_indexes")

    def __init__(self) -> None:
        self._repeats_indexes = False
        """Whether another call came under an index that was taken: then the index tells nothing."""
        self._ids: list[str] = []
        """By index; empty where a host gives none."""

    def give_index(self, fragment: dict[str, Any]) -> bool:
        """LangChain drops a fragment without `index`, and all clients merge parallel calls that have index 0
        in common. So here a new id begins a new call, and a fragment without an id belongs to the last call.
        """
        index = self._index_of(fragment)
        if fragment.get("index") == index and type(fragment.get("index")) is int:
            return False
        fragment["index"] = index
        return True

    def _index_of(self, fragment: dict[str, Any]) -> int:
        index, call_id = fragment.get("index"), fragment.get("id")
        given = index if type(index) is int and 0 <= index < MOST_TOOL_CALLS else None
        if isinstance(call_id, str) and call_id:
            if call_id in self._ids:
                return self._ids.index(call_id)
            if given is not None and given < len(self._ids) and not self._ids[given]:
                self._ids[given] = call_id
                return given
            self._repeats_indexes |= given is not None and given < len(self._ids)
            place = len(self._ids) if given is None else max(given, len(self._ids))
        elif given is not None and given < len(self._ids) and not self._repeats_indexes:
            return given
        elif self._ids and (given is None or self._repeats_indexes):
            return len(self._ids) - 1
        else:
            call_id, place = "", given or 0
        self._ids.extend([""] * (place - len(self._ids)))
        self._ids.append(call_id)
        return place

    def name_finish_reason(self, choice: dict[str, Any]) -> bool:
        """Tool calls that end with `stop` end with `tool_calls` instead: Roo Code closes a call only then
        (openai-clients).
        """
        if choice.get("finish_reason") != "stop" or not self._ids:
            return False
        choice["finish_reason"] = "tool_calls"
        return True
