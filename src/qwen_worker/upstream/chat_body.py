"""The text of a chat completions body, and where its parts are: what the rules for Qwen's hosts work on.

Only what is needed to find the parts is checked here. `api/chat/request.py` checks whether a client's body is
a valid request; bodies that the gateway has written are valid.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from qwen_worker.careful_scan import scanner_of
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import Items, Member, scan_object, skip_spaces
from qwen_worker.json_text import JsonTextError

ROLES = ("user", "assistant", "tool", "system", "developer", "function")

FindProblem = Callable[[int, Any], InvalidRequest | None]
"""Says what is wrong with a message, given its index and the message; None if nothing is."""


class Messages(NamedTuple):
    """The `messages` array: where each message is, and the few facts that the rules ask for."""

    items: Items
    """Where each message is in the text."""
    instructions: list[int]
    """Indexes of the system and developer messages."""
    developers: list[int]
    """Indexes of the developer messages."""
    empty_calls: list[int]
    """Indexes of the assistant's messages with a tool call whose arguments are empty."""
    problem: InvalidRequest | None = None
    """What is wrong with the first wrong message."""


class ChatBody(NamedTuple):
    """A scanned body."""

    raw: bytes
    """The body as it came."""
    text: str
    """`raw` decoded as Latin-1, which `members` and `messages` point into; see `json_text`."""
    members: dict[str, Member]
    """The top-level fields. The value of `messages` is `Messages`, if it is an array; the value of a string
    with non-ASCII characters is not decoded.
    """
    is_unique: bool
    """Whether no top-level field occurs twice."""
    messages: Messages
    """The messages; none if there is no array of them."""

    def value(self, name: str) -> Any:
        """The value of a top-level field, or None."""
        member = self.members.get(name)
        return None if member is None else member.value


def scan_chat_body(raw: bytes, text: str, find_problem: FindProblem | None = None) -> ChatBody:
    """Scans a body, a JSON object. `text` is `raw` decoded as Latin-1. Raises JsonTextError; TooManyMembers.

    The messages are walked once, and not kept. On this walk `find_problem` is asked about each message that
    is not an object with a known role and a text as its content, until it finds a problem.
    """
    scan = scanner_of(text)

    def scan_messages(text: str, position: int) -> tuple[Any, int]:
        value, end = scan(text, position)
        is_array = type(value) is list
        return looked_through(value, text, position, end, find_problem) if is_array else value, end

    body = scan_object(text, skip_spaces(text, 0), {"messages": scan_messages}, scan)
    end = skip_spaces(text, body.end)
    if end != len(text):
        raise JsonTextError(f"there is more after the end of the object at byte {end}")
    member = body.members.get("messages")
    messages = member.value if member is not None and isinstance(member.value, Messages) else None
    return ChatBody(
        raw, text, body.members, body.is_unique, messages or Messages(Items(text, 0, 0, []), [], [], [])
    )


def looked_through(
    messages: list[Any], text: str, position: int, end: int, find_problem: FindProblem | None = None
) -> Messages:
    """Walks through `messages`, which are `text[position:end]`, and notes what the rules need.

    Asks `find_problem` as `scan_chat_body` does.
    """
    instructions: list[int] = []
    developers: list[int] = []
    empty_calls: list[int] = []
    problem: InvalidRequest | None = None
    for index, message in enumerate(messages):
        role = message.get("role") if type(message) is dict else None
        if role == "user":
            pass
        elif role == "assistant":
            if "tool_calls" in message and has_empty_call(message["tool_calls"]):
                empty_calls.append(index)
        elif role == "system" or role == "developer":
            instructions.append(index)
            if role == "developer":
                developers.append(index)
        if (
            (role not in ROLES or type(message.get("content")) is not str)
            and problem is None
            and find_problem is not None
        ):
            problem = find_problem(index, message)
    items = Items(text, position, end, messages)
    return Messages(items, instructions, developers, empty_calls, problem)


def has_empty_call(calls: Any) -> bool:
    """Whether one of the `tool_calls` of a message lacks its arguments."""
    return isinstance(calls, list) and any(map(is_empty_call, calls))


def is_empty_call(call: Any) -> bool:
    """Whether the arguments of a tool call are null, or blank text."""
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments", "{}") if isinstance(function, dict) else "{}"
    return arguments is None or (isinstance(arguments, str) and (not arguments or arguments.isspace()))
