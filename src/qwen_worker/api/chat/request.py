"""The body of POST /v1/chat/completions: is it JSON, and is it a chat request.

Unknown fields pass unchecked: Qwen decides about them. Every failure is an `InvalidRequest` (see
`validation`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import MOST_MEMBERS, TooManyMembers, decoded, skip_spaces
from qwen_worker.json_text import JsonTextError
from qwen_worker.upstream.chat_body import ROLES, ChatBody, FindProblem, Messages, scan_chat_body
from qwen_worker.validation import (
    Check,
    body_text,
    boolean,
    integer,
    invalid_json,
    json_body,
    json_object,
    json_objects,
    missing,
    model_name,
    number,
    unfit,
    wrong_type,
)


class ChatRequest(NamedTuple):
    """A checked chat completions request."""

    body: ChatBody
    """The body, without a byte order mark."""
    model: str | None
    """The model that the client names."""
    stream: bool
    include_usage: bool
    """Whether a stream shall end with a chunk of usage (`stream_options.include_usage`)."""


ChatOfResponses = Callable[[bytes], bytes]
"""Makes a chat completions body of one that the Responses API takes. Raises InvalidRequest."""


def parse_chat_request(raw: bytes, chat_of_responses: ChatOfResponses | None = None) -> ChatRequest:
    """Checks a body; one with `input` in place of `messages` becomes what `chat_of_responses` makes of it.

    Raises InvalidRequest, and nothing else, whatever the bytes are.
    """
    body = scan_request(raw, _message_problem)
    if chat_of_responses is not None and body.value("messages") is None and body.value("input") is not None:
        return parse_chat_request(chat_of_responses(body.raw))
    _check_messages(body)
    for name, member in body.members.items():
        check = _CHECKS.get(name)
        if check is not None and member.value is not None:
            check(name, member.value)
    return ChatRequest(
        body,
        named_model(body),
        stream=body.value("stream") is True,
        include_usage=(body.value("stream_options") or {}).get("include_usage") is True,
    )


def scan_request(raw: bytes, find_problem: FindProblem | None = None) -> ChatBody:
    """A body that is a JSON object, scanned (see `scan_chat_body`). Raises InvalidRequest."""
    raw, text = body_text(raw)
    if not text.startswith("{", skip_spaces(text, 0)):
        json_body(raw)  # says what it is instead
    try:
        return scan_chat_body(raw, text, find_problem)
    except TooManyMembers:
        raise InvalidRequest(f"The request body has more than {MOST_MEMBERS:,} fields.") from None
    except JsonTextError as error:
        raise invalid_json(error) from None


_CHECKS: dict[str, Check] = {
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "max_tokens": integer(-1),
    "max_completion_tokens": integer(-1),
    "n": integer(1, 128),
    "stream": boolean,
    "stream_options": json_object,
    "tools": json_objects,
}
"""What OpenAI says about fields that every client may send; and see `drop_absent_limits` (upstream/rules)."""


def named_model(body: ChatBody) -> str | None:
    """The model that a body names, or None. Raises InvalidRequest."""
    member = body.members.get("model")
    if member is None or member.value is None:
        return None
    if not isinstance(member.value, str):
        raise wrong_type("model", "a string", member.value)
    is_ascii = member.value.isascii()
    return model_name(member.value if is_ascii else decoded(body.text[member.value_start : member.end]))


# --- messages


def _check_messages(body: ChatBody) -> None:
    messages = body.value("messages")
    if messages is None:
        raise _messages_missing(body)
    if not isinstance(messages, Messages):
        raise wrong_type("messages", "an array of messages", messages)
    if not messages.items.count:
        raise InvalidRequest(
            "Invalid 'messages': empty array. Expected at least one message.",
            param="messages",
            code="empty_array",
        )
    if messages.problem is not None:
        raise messages.problem


def _messages_missing(body: ChatBody) -> InvalidRequest:
    explanation = ""
    if "input" in body.members:
        explanation = (
            " The body has 'input', as the Responses API takes it, but it is null: send the conversation as "
            "'messages'."
        )
    elif "prompt" in body.members:
        explanation = (
            " The body has 'prompt', as the legacy Completions API takes it; this endpoint speaks Chat "
            "Completions: send the prompt as a message, or to /v1/completions."
        )
    return InvalidRequest(
        f"Missing required parameter: 'messages'.{explanation}",
        param="messages",
        code="missing_required_parameter",
    )


def _message_problem(index: int, message: Any) -> InvalidRequest | None:
    where = f"messages[{index}]"
    if not isinstance(message, dict):
        return wrong_type(where, "an object", message)
    role = message.get("role")
    if not isinstance(role, str):
        return unfit(f"{where}.role", "a string", role)
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
        return None if _may_lack_content(role, message) else missing(f"{where}.content")
    return (
        None if isinstance(content, str) else wrong_type(f"{where}.content", "a string or an array", content)
    )


def _may_lack_content(role: str, message: dict[str, Any]) -> bool:
    """Whether a message may have no content: with OpenAI an assistant's if it has a call or a refusal, and a
    function's.

    So may an assistant's with `reasoning_content`, which Qwen's thinking models add: clients send such a
    message back as they got it.
    """
    if role == "function":
        return True
    said = ("tool_calls", "function_call", "refusal", "audio", "reasoning_content")
    return role == "assistant" and any(message.get(name) is not None for name in said)


def _part_problem(where: str, part: Any) -> InvalidRequest | None:
    if not isinstance(part, dict):
        return wrong_type(where, "an object", part)
    kind = part.get("type")
    if not isinstance(kind, str):
        return unfit(f"{where}.type", "a string", kind)
    text = part.get("text")
    if kind == "text" and not isinstance(text, str):
        return unfit(f"{where}.text", "a string", text)
    return None
