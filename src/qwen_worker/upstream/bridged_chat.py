"""A request of another API, translated into chat completions, as a host takes it."""

import json
from typing import Any

from qwen_worker.json_scan import MOST_MEMBERS, Member, TooManyMembers
from qwen_worker.json_text import JsonTextError
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.chat_body import ChatBody, looked_through
from qwen_worker.upstream.rules.prepare import prepare_chat
from qwen_worker.validation import invalid_json

CHAT_PATH = "/chat/completions"


_encode = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":")).encode


def bridged_body(chat: dict[str, Any]) -> ChatBody:
    """The body of a translated request, whose `messages` are an array.

    Where its parts are is known while it is written, so it is not scanned. Raises InvalidRequest for a number
    that is too large, and for too many fields.
    """
    if len(chat) > MOST_MEMBERS:
        raise invalid_json(TooManyMembers(f"an object has more than {MOST_MEMBERS:,} fields"))
    members: dict[str, Member] = {}
    texts: list[str] = []
    start = 1
    for name, value in chat.items():
        key, text = _encode(name), _encoded(value)
        value_start = start + len(key) + 1
        end = value_start + len(text)
        members[name] = Member(value, start, value_start, end)
        texts.append(f"{key}:{text}")
        start = end + 1
    text = f"{{{','.join(texts)}}}"
    told, _, position, end = members["messages"]
    messages = looked_through(told, text, position, end)
    members["messages"] = members["messages"]._replace(value=messages)
    return ChatBody(text.encode(), text, members, is_unique=True, messages=messages)


def _encoded(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:
        # 1e400 is JSON, and infinite in Python.
        raise invalid_json(JsonTextError("a number is too large")) from None


def prepare_bridged(body: ChatBody, asked_model: str | None, target: Target) -> tuple[str, bytes]:
    """URL and body for one target: the rules for chat completions hold for bridged requests too."""
    return f"{target.base_url}{CHAT_PATH}", prepare_chat(body, asked_model, target)
