"""A Responses body that was posted to /v1/chat/completions, as Cursor does it (apis-on-the-wire 2.3).

Such a client reads chat completions, so its request becomes one; the answer needs no translation.
"""

import json

from qwen_worker.api.responses.request import to_chat
from qwen_worker.validation import json_body


def chat_of_responses(raw: bytes) -> bytes:
    """The body of the chat completions request that the client means. Raises InvalidRequest."""
    body = json_body(raw)
    chat = to_chat(body).chat
    # A chunk of usage that was not asked for breaks clients of chat.
    chat.pop("stream_options", None)
    if body.get("stream_options"):
        chat["stream_options"] = body["stream_options"]
    return json.dumps(chat).encode()
