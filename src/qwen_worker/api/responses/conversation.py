"""Builds the messages of a chat, in the order that chat hosts demand.

- Instructions (`system`, `developer`) come first, in their order.
- All calls in a row belong to one assistant message, with the text and the reasoning of that turn.
- The results of its calls stand directly behind it, one for each call and no other.

Clients break the last rule: they lose results when a user interrupts, or send results of calls that they have
dropped. Qwen answers 400 to both.
"""

from typing import Any

from qwen_worker.api.responses.content import split, without_needless_parts

NO_OUTPUT = "(no output: the call was not answered)"
"""The result of a call that has none."""


class _Turn:
    """What the assistant says at once, and the results of its calls."""

    __slots__ = ("calls", "images", "parts", "reasoning", "results")

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.reasoning: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.results: list[str | None] = []
        self.images: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """As chat messages."""
        text, others = split(self.parts)
        said: dict[str, Any] = {"role": "assistant", "content": [*self.parts] if others else text}
        if self.reasoning:
            said["reasoning_content"] = "\n\n".join(self.reasoning)
        if self.calls:
            said["tool_calls"] = self.calls
            if not self.parts:
                said["content"] = None
        messages = [said]
        for call, result in zip(self.calls, self.results, strict=True):
            content = NO_OUTPUT if result is None else result
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
        if self.images:
            messages.append({"role": "user", "content": self.images})
        return messages


class Conversation:
    """Takes items in their order; `messages` puts them together."""

    def __init__(self) -> None:
        self._instructions: list[dict[str, Any]] = []
        self._said: list[_Turn | dict[str, Any]] = []
        self._turn: _Turn | None = None
        self._reasoning: list[str] = []
        self._unanswered: dict[str, list[tuple[_Turn, int]]] = {}

    def messages(self) -> list[dict[str, Any]]:
        """The chat's messages."""
        self._end_turn()
        messages = [*self._instructions]
        for each in self._said:
            if isinstance(each, _Turn):
                messages += each.messages()
            else:
                messages.append(each)
        return messages

    def add_message(self, role: str, parts: list[dict[str, Any]]) -> None:
        """A message of anyone but the assistant."""
        message = {"role": role, "content": without_needless_parts(parts)}
        if role in ("system", "developer"):
            self._instructions.append(message)
            return
        self._end_turn()
        self._said.append(message)

    def add_text(self, parts: list[dict[str, Any]]) -> None:
        """A message of the assistant. It shares a turn with calls, before or after it, but not with another
        message.
        """
        if self._turn is not None and self._turn.parts and not self._turn.calls:
            self._turn = None
        self._open_turn().parts += parts

    def add_reasoning(self, text: str) -> None:
        """Reasoning, which belongs to what the assistant says next."""
        if text:
            self._reasoning.append(text)

    def add_call(self, call_id: str, function: str, arguments: str) -> None:
        """A call of a function, with its arguments as JSON text."""
        turn = self._open_turn()
        unanswered = self._unanswered.get(call_id)
        if unanswered and unanswered[0][0] is turn:
            # Twice the same id in one turn: a host would not know which result is whose.
            chat_id = f"{call_id}_{len(turn.calls)}"
            unanswered.append((turn, len(turn.calls)))
        else:
            chat_id = call_id
            self._unanswered[call_id] = [(turn, len(turn.calls))]
        turn.calls.append(
            {"id": chat_id, "type": "function", "function": {"name": function, "arguments": arguments}}
        )
        turn.results.append(None)

    def add_result(self, call_id: str, parts: list[dict[str, Any]]) -> None:
        """The result of a call. What is no text in it follows as a user's message: a tool's is text only."""
        self._end_turn()
        text, others = split(parts)
        unanswered = self._unanswered.get(call_id)
        if not unanswered:
            heading = {"type": "text", "text": f"Result of an earlier tool call:\n{text}"}
            self._said.append({"role": "user", "content": without_needless_parts([heading, *others])})
            return
        turn, index = unanswered.pop(0)
        if others:
            function = turn.calls[index]["function"]["name"]
            turn.images += [{"type": "text", "text": f"From the result of {function}:"}, *others]
            text = text or "(see the next message)"
        turn.results[index] = text

    def _open_turn(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
            self._said.append(self._turn)
        self._turn.reasoning += self._reasoning
        self._reasoning = []
        return self._turn

    def _end_turn(self) -> None:
        if self._reasoning:
            # Reasoning after the last word of a turn, or a turn of nothing else.
            self._open_turn()
        self._turn = None
