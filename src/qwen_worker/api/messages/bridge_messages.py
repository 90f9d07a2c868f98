"""Anthropic's conversation as chat messages.

A chat host wants every call of a turn answered directly behind it, in `tool` messages; Anthropic has the
results among what the user says next. So a turn with calls is kept open until all that belongs to it is read.
"""

import json
from collections.abc import Mapping
from typing import Any

from qwen_worker.api.messages import checks
from qwen_worker.api.messages.bridge_content import (
    CACHE_MARK,
    Part,
    joined_text,
    part_of,
    parts_of,
    reminder,
    simplest,
    system_parts,
)

Message = dict[str, Any]

_NO_RESULT = "There is no result of this call."


def chat_messages(body: Mapping[str, Any], *, cache_marks: bool) -> list[Message]:
    """The messages for `system` and `messages`. Raises InvalidRequest that names the field.

    `cache_marks`: whether the host honours marks of prompt caching on content parts.
    """
    conversation = _Conversation(cache_marks=cache_marks)
    system = system_parts(body.get("system"), cache_marks=cache_marks)
    if system:
        conversation.messages.append({"role": "system", "content": simplest(system)})
    for index, message in enumerate(body["messages"]):
        path = f"messages.{index}.content"
        if message["role"] == "assistant":
            conversation.add_assistant(message["content"], path)
        elif message["role"] == "system":
            conversation.add_system(message["content"], path)
        else:
            conversation.add_user(message["content"], path)
    conversation.close_turn()
    return conversation.messages


class _Conversation:
    """The chat messages so far, and what belongs behind the calls of the last turn."""

    def __init__(self, *, cache_marks: bool) -> None:
        self.messages: list[Message] = []
        self._cache_marks = cache_marks
        self._calls: list[str] = []
        self._results: dict[str, Message] = {}
        self._images: list[Part] = []
        self._said: list[Message] = []

    def add_assistant(self, content: Any, path: str) -> None:
        """Adds the model's turn. Blocks of server tools and of other providers' features are left out."""
        self.close_turn()
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts: list[str] = []
        reasoning: list[str] = []
        calls: list[dict[str, Any]] = []
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                texts.append(block["text"])
            elif block["type"] == "thinking":
                reasoning.append(checks.string(block.get("thinking"), f"{path}.{index}.thinking"))
            elif block["type"] == "tool_use":
                calls.append(_tool_call(block, f"{path}.{index}"))
        turn: Message = {"role": "assistant", "content": "".join(texts)}
        if any(reasoning):
            turn["reasoning_content"] = "".join(reasoning)
        if calls:
            turn["tool_calls"] = calls
            self._calls = [call["id"] for call in calls]
        if texts or calls or any(reasoning):
            self.messages.append(turn)

    def add_user(self, content: Any, path: str) -> None:
        """Adds what the user says, and the results of calls that are among it."""
        if isinstance(content, str):
            self._say(parts_of(content, path, cache_marks=False))
            return
        parts: list[Part] = []
        for index, block in enumerate(content):
            if block["type"] == "tool_result":
                parts += self._take_result(block, f"{path}.{index}")
            else:
                parts += part_of(block, f"{path}.{index}", cache_marks=self._cache_marks)
        self._say(parts)

    def add_system(self, content: Any, path: str) -> None:
        """Adds a system message in the middle of the conversation, in its place."""
        parts = parts_of(content, path, cache_marks=self._cache_marks)
        self._say([{**part, "text": reminder(part["text"])} for part in parts if part["type"] == "text"])

    def close_turn(self) -> None:
        """Ends the last turn: adds its results, their images, and what the user said beside them."""
        for call_id in self._calls:
            unanswered = {"role": "tool", "tool_call_id": call_id, "content": _NO_RESULT}
            self.messages.append(self._results.get(call_id, unanswered))
        if self._images:
            self.messages.append({"role": "user", "content": self._images})
        self.messages += self._said
        self._calls, self._results, self._images, self._said = [], {}, [], []

    def _say(self, parts: list[Part]) -> None:
        if parts:
            self._said.append({"role": "user", "content": simplest(parts)})

    def _take_result(self, block: Mapping[str, Any], path: str) -> list[Part]:
        """Keeps a result for its call. A result without a call, left over when a client cut the conversation,
        is returned as what the user says.
        """
        call_id = checks.string(block.get("tool_use_id"), f"{path}.tool_use_id")
        content = block.get("content")
        parts = parts_of("" if content is None else content, f"{path}.content", cache_marks=False)
        text = joined_text(parts)
        images = [part for part in parts if part["type"] != "text"]
        if block.get("is_error") is True:
            text = f"Error: {text}"
        if call_id not in self._calls or call_id in self._results:
            return [{"type": "text", "text": f"Result of a tool: {text}"}, *images]
        if images:
            # A tool message holds text only.
            text = f"{text}\n(Images are in the next message.)".lstrip()
            self._images += [{"type": "text", "text": f"Images of the tool result {call_id}:"}, *images]
        part: Part = {"type": "text", "text": text}
        if self._cache_marks and block.get("cache_control"):
            part["cache_control"] = CACHE_MARK
        self._results[call_id] = {"role": "tool", "tool_call_id": call_id, "content": simplest([part])}
        return []


def _tool_call(block: Mapping[str, Any], path: str) -> dict[str, Any]:
    arguments = block.get("input")
    if arguments is None:
        arguments = {}
    return {
        "id": checks.string(block.get("id"), f"{path}.id"),
        "type": "function",
        "function": {
            "name": checks.string(block.get("name"), f"{path}.name"),
            "arguments": json.dumps(arguments, ensure_ascii=False, separators=(",", ":")),
        },
    }
