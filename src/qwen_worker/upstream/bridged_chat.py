"""A request of another API, translated into chat completions, as a host takes it."""

import json
from typing import Any

from qwen_worker.json_text import JsonTextError
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.chat_body import ChatBody, scan_chat_body
from qwen_worker.upstream.rules.prepare import prepare_chat
from qwen_worker.validation import invalid_json

CHAT_PATH = "/chat/completions"


def bridged_body(chat: dict[str, Any]) -> ChatBody:
    """The body of a translated request. Raises InvalidRequest if it is nested too deeply."""
    text = json.dumps(chat, separators=(",", ":"))
    try:
        return scan_chat_body(text.encode(), text)
    except JsonTextError as error:
        raise invalid_json(error) from None


def prepare_bridged(body: ChatBody, asked_model: str | None, target: Target) -> tuple[str, bytes]:
    """URL and body for one target: the rules for chat completions hold for bridged requests too."""
    return f"{target.base_url}{CHAT_PATH}", prepare_chat(body, asked_model, target)
