"""Who speaks Anthropic's API, on paths that OpenAI's has too."""

from qwen_worker.platform.ports import InboundRequest


def speaks_anthropic(request: InboundRequest) -> bool:
    """Whether a client names the version of Anthropic's API that it speaks, as all of them do."""
    return request.header("anthropic-version") is not None
