"""What the gateway itself says in a stream of chat completion chunks."""

from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.errors import ProxyError

DONE = b"data: [DONE]\n\n"

KEEP_ALIVE = b": keep-alive\n\n"


def error_event(error: ProxyError) -> bytes:
    """The error as an event of a stream."""
    return f"data: {openai_error_body(error)}\n\n".encode()
