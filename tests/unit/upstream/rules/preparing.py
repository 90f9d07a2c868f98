"""From a client's checked request to the body for a target."""

from qwen_worker.api.chat.request import ChatRequest
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.rules.prepare import PreparedRequest, prepare_chat


def prepare_request(request: ChatRequest, target: Target) -> PreparedRequest:
    return prepare_chat(request.body, request.model, target)
