"""A chat body as a host takes it. Pure: no I/O, no clock, nothing kept.

Everything a client sends reaches Qwen as it was spelled, unless a rule changes it. A rule changes only what
Qwen would reject, or what Qwen names otherwise; its docstring says why, and where the fact is from ("CLI":
seen in the official Qwen Code CLI). If no rule changes anything, the client's own bytes are sent.

Preparing a prepared body changes nothing. The rules for Qwen's own hosts are loaded with the first request to
one.
"""

from functools import cache
from typing import NamedTuple

from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import JsonTextError
from qwen_worker.models import resolve_model
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.chat_body import ChatBody
from qwen_worker.upstream.hosts import HostFamily
from qwen_worker.upstream.rules.draft import Draft, Rule


class PreparedRequest(NamedTuple):
    """The body for Qwen, and the model that it names."""

    body: bytes
    model: str


def prepare_chat(body: ChatBody, model: str | None, target: Target) -> PreparedRequest:
    """Applies the rules of the target's family. `model` is what the client names.

    Raises InvalidRequest for a body with a part that cannot be looked at.
    """
    resolved = resolve_model(
        model, default=target.default_model, aliases=target.aliases, is_oauth=target.kind == "oauth"
    )
    draft = Draft(body, model, resolved)
    try:
        for apply_rule in _rules_for(target.family):
            apply_rule(draft)
    except JsonTextError as error:
        raise InvalidRequest(f"The request body cannot be read: {error}.", code="invalid_json") from None
    return PreparedRequest(draft.to_bytes(), resolved)


@cache
def _rules_for(family: HostFamily) -> tuple[Rule, ...]:
    if family == "portal":
        from qwen_worker.upstream.rules.portal import PORTAL

        return PORTAL
    if family == "dashscope":
        from qwen_worker.upstream.rules.dashscope import DASHSCOPE

        return DASHSCOPE
    from qwen_worker.upstream.rules.common import OTHER

    return OTHER
