"""A chat body as a host takes it. Pure: no I/O, no clock, no state.

Everything a client sends reaches Qwen as it was spelled, unless a rule changes it. A rule changes only what
Qwen would reject, or what Qwen names otherwise; its docstring says why, and where the fact is from ("CLI":
seen in the official Qwen Code CLI). If no rule changes anything, the client's own bytes are sent.

Preparing a prepared body changes nothing. The rules for Qwen's own hosts are loaded with the first request to
one.
"""

from functools import cache

from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import JsonTextError
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.chat_body import ChatBody
from qwen_worker.upstream.hosts import HostFamily
from qwen_worker.upstream.rules.draft import Draft, Rule


def prepare_chat(body: ChatBody, asked_model: str | None, target: Target) -> bytes:
    """Applies the rules of the target's family. `asked_model` is the model that the body names.

    Raises InvalidRequest for a body with a part that cannot be looked at.
    """
    draft = Draft(body, asked_model, target.model)
    try:
        for apply_rule in _rules_for(target.family):
            apply_rule(draft)
    except JsonTextError as error:
        raise InvalidRequest(f"The request body cannot be read: {error}.", code="invalid_json") from None
    return draft.to_bytes()


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
