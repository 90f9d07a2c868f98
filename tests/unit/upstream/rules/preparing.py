"""A request prepared for a host, as the pool and the chat handler do it together."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from qwen_worker.api.chat.request import ChatRequest
from qwen_worker.models import resolve_model
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.hosts import HostFamily
from qwen_worker.upstream.rules.prepare import prepare_chat


class Host(NamedTuple):
    """An account's host, and the gateway's settings of models."""

    kind: Literal["oauth", "api_key"]
    family: HostFamily
    default_model: str
    aliases: Mapping[str, str]


class PreparedRequest(NamedTuple):
    """The body for Qwen, and the model that it names."""

    body: bytes
    model: str


def prepare_request(request: ChatRequest, host: Host) -> PreparedRequest:
    """The request as the host takes it."""
    model = resolve_model(
        request.model, default=host.default_model, aliases=host.aliases, is_oauth=host.kind == "oauth"
    )
    target = Target(host.kind, host.family, "https://qwen.example/v1", model)
    return PreparedRequest(prepare_chat(request.body, request.model, target), model)
