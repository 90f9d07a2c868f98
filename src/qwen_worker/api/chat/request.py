"""The body of POST /v1/chat/completions: is it JSON, is it a chat request, and where are its parts.

Fields we do not know pass unchecked; Qwen is the judge of them. Every failure is an `InvalidRequest` whose
`param` names the field in OpenAI's way (`messages[2].role`) and whose message never quotes the request.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import (
    Items,
    JsonTextError,
    Member,
    decoded,
    scan_array,
    scan_object,
    scan_value,
    skip_spaces,
)

ROLES = ("user", "assistant", "tool", "system", "developer", "function")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_MODEL_NAME = 256


class Messages(NamedTuple):
    """The `messages` array: where each message is, and the few facts that the rules for Qwen ask for."""

    items: Items
    """Where each message is in the text."""
    instructions: list[int]
    """Indexes of the system and developer messages."""
    developers: list[int]
    """Indexes of the developer messages."""
    problem: InvalidRequest | None
    """What is wrong with the first wrong message."""


class ChatRequest(NamedTuple):
    """A checked chat completions request."""

    raw: bytes
    """The body as it came (without a byte order mark)."""
    text: str
    """`raw` decoded as Latin-1, which `members` and `messages` point into; see `json_text`."""
    members: dict[str, Member]
    """The top-level fields. The value of a string with non-ASCII characters is not decoded."""
    is_unique: bool
    """Whether no top-level field occurs twice."""
    messages: Messages
    model: str | None
    """The model that the client names."""
    stream: bool
    include_usage: bool
    """Whether a stream shall end with a chunk of usage (`stream_options.include_usage`)."""


def parse_chat_request(raw: bytes) -> ChatRequest:
    """Checks a body. Raises InvalidRequest, and nothing else, whatever the bytes are."""
    raw = raw.removeprefix(_BYTE_ORDER_MARK)
    text = _text(raw)
    try:
        members, is_unique = _scan_body(text)
    except JsonTextError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.", code="invalid_json") from None
    messages = _messages(members)
    for name, member in members.items():
        check = _CHECKS.get(name)
        if check is not None and member.value is not None:
            check(name, member.value)
    return ChatRequest(
        raw=raw,
        text=text,
        members=members,
        is_unique=is_unique,
        messages=messages,
        model=_model(text, members),
        stream=_value(members, "stream") is True,
        include_usage=(_value(members, "stream_options") or {}).get("include_usage") is True,
    )


def _text(raw: bytes) -> str:
    if not raw or raw.isspace():
        raise InvalidRequest("The request body is empty; it must be a JSON object.", code="invalid_json")
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(
                f"The request body is not valid UTF-8: byte {error.start} cannot be decoded.",
                code="invalid_json",
            ) from None
    return raw.decode("latin-1")


def _scan_body(text: str) -> tuple[dict[str, Member], bool]:
    start = skip_spaces(text, 0)
    if text[start] != "{":
        _, end = scan_value(text, start)
        _expect_end(text, end)
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    body = scan_object(text, start, {"messages": _scan_messages})
    _expect_end(text, body.end)
    return body.members, body.is_unique


def _expect_end(text: str, position: int) -> None:
    end = skip_spaces(text, position)
    if end != len(text):
        raise JsonTextError(f"there is more after the end of the object at byte {end}")


def _value(members: dict[str, Member], name: str) -> Any:
    member = members.get(name)
    return None if member is None else member.value


# --- messages


def _scan_messages(text: str, position: int) -> tuple[Any, int]:
    """Scans the messages and checks them: the parsed conversation is not kept."""
    if not text.startswith("[", position):
        return scan_value(text, position)
    messages, end = scan_array(text, position)
    instructions: list[int] = []
    developers: list[int] = []
    problem: InvalidRequest | None = None
    for index, message in enumerate(messages):
        role = message.get("role") if type(message) is dict else None
        if role == "system" or role == "developer":
            instructions.append(index)
            if role == "developer":
                developers.append(index)
        if role not in ROLES or type(message.get("content")) is not str:
            problem = problem or _message_problem(f"messages[{index}]", message)
    return Messages(Items(text, position, end, messages), instructions, developers, problem), end


def _messages(members: dict[str, Member]) -> Messages:
    messages = _value(members, "messages")
    if messages is None:
        raise _messages_missing(members)
    if not isinstance(messages, Messages):
        raise _wrong_type("messages", "an array of messages", messages)
    if not messages.items.count:
        raise InvalidRequest(
            "Invalid 'messages': empty array. Expected at least one message.",
            param="messages",
            code="empty_array",
        )
    if messages.problem is not None:
        raise messages.problem
    return messages


def _messages_missing(members: dict[str, Member]) -> InvalidRequest:
    explanation = ""
    if "input" in members:
        explanation = (
            " The body has 'input', as the Responses API takes it; this endpoint speaks Chat Completions: "
            "send the conversation as 'messages', or switch the client to the Chat Completions API."
        )
    elif "prompt" in members:
        explanation = (
            " The body has 'prompt', as the legacy Completions API takes it; this endpoint speaks Chat "
            "Completions: send the prompt as a message."
        )
    return InvalidRequest(
        f"Missing required parameter: 'messages'.{explanation}",
        param="messages",
        code="missing_required_parameter",
    )


def _message_problem(where: str, message: Any) -> InvalidRequest | None:
    if not isinstance(message, dict):
        return _wrong_type(where, "an object", message)
    role = message.get("role")
    if role is None:
        return _missing(f"{where}.role")
    if not isinstance(role, str):
        return _wrong_type(f"{where}.role", "a string", role)
    if role not in ROLES:
        return InvalidRequest(
            f"Invalid value for '{where}.role'. Supported values are: "
            "'system', 'developer', 'user', 'assistant', 'tool', and 'function'.",
            param=f"{where}.role",
        )
    content = message.get("content")
    if isinstance(content, list):
        return next(
            filter(None, (_part_problem(f"{where}.content[{i}]", p) for i, p in enumerate(content))), None
        )
    if content is None:
        return None if _may_lack_content(role, message) else _missing(f"{where}.content")
    return (
        None if isinstance(content, str) else _wrong_type(f"{where}.content", "a string or an array", content)
    )


def _may_lack_content(role: str, message: dict[str, Any]) -> bool:
    """OpenAI lets an assistant say nothing if it called something or refused, and a function answer null.

    `reasoning_content` is what Qwen's thinking models add: clients send such a turn back as they got it.
    """
    if role == "function":
        return True
    said = ("tool_calls", "function_call", "refusal", "audio", "reasoning_content")
    return role == "assistant" and any(message.get(name) is not None for name in said)


def _part_problem(where: str, part: Any) -> InvalidRequest | None:
    if not isinstance(part, dict):
        return _wrong_type(where, "an object", part)
    kind = part.get("type")
    if kind is None:
        return _missing(f"{where}.type")
    if not isinstance(kind, str):
        return _wrong_type(f"{where}.type", "a string", kind)
    if kind == "text" and not isinstance(part.get("text"), str):
        text = part.get("text")
        return _missing(f"{where}.text") if text is None else _wrong_type(f"{where}.text", "a string", text)
    return None


# --- other fields


def _model(text: str, members: dict[str, Member]) -> str | None:
    """The named model. An empty name, which tools send when nothing is set, names none."""
    member = members.get("model")
    if member is None or member.value is None:
        return None
    if not isinstance(member.value, str):
        raise _wrong_type("model", "a string", member.value)
    model: str = member.value if member.value.isascii() else decoded(text[member.value_start : member.end])
    if len(model) > _LONGEST_MODEL_NAME or not (model.isprintable() or model.isspace()):
        raise InvalidRequest(
            f"Invalid value for 'model': expected at most {_LONGEST_MODEL_NAME} printable characters.",
            param="model",
        )
    return model if model.strip() else None


def _number(minimum: float, maximum: float) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(name, "a number", value)
        if not minimum <= value <= maximum:
            raise InvalidRequest(
                f"Invalid value for '{name}': expected a number from {minimum:g} to {maximum:g}.", param=name
            )

    return check


def _integer(minimum: int, maximum: int | None = None) -> Callable[[str, Any], None]:
    limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, "an integer", value)
        if value < minimum or (maximum is not None and value > maximum):
            raise InvalidRequest(f"Invalid value for '{name}': expected an integer {limits}.", param=name)

    return check


def _boolean(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)


def _object(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise _wrong_type(name, "an object", value)


def _objects(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise _wrong_type(name, "an array of objects", value)
    for index, item in enumerate(value):
        _object(f"{name}[{index}]", item)


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "max_tokens": _integer(1),
    "max_completion_tokens": _integer(1),
    "n": _integer(1, 128),
    "stream": _boolean,
    "stream_options": _object,
    "tools": _objects,
}
"""What OpenAI says about fields that every client may send. An explicit null counts as absent."""


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def _wrong_type(param: str, expected: str, value: Any) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {_type_name(value)} instead.",
        param=param,
        code="invalid_type",
    )


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list | Messages) else "an object"
