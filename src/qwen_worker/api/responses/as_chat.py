"""A Responses body where chat completions are expected: Cursor sends it, and reads chat completions."""

import json

from qwen_worker.api.responses.request import to_chat
from qwen_worker.validation import json_body


def chat_body(raw: bytes) -> bytes:
    """The chat completions body that asks for the same. Raises InvalidRequest."""
    body = json_body(raw)
    request = to_chat(body)
    if request.stream:
        # What the answer ends with is the client's choice here.
        return json.dumps({**request.chat, "stream_options": body.get("stream_options")}).encode()
    return json.dumps(request.chat).encode()
