"""What a request to Qwen's own hosts must be like, DashScope and the portal alike."""

from collections.abc import Mapping
from typing import Any

from qwen_worker.json_text import SPACES
from qwen_worker.upstream.rules.common import COMMON, rename_developer_role
from qwen_worker.upstream.rules.draft import Draft, Rule

CACHE_CONTROL = '{"type":"ephemeral"}'


def drop_nulls(draft: Draft) -> None:
    """OpenAI takes an explicit null for "not set", and SDKs send it; Qwen checks the type of what it gets."""
    for name in [name for name, value in draft.fields.items() if value is None and name in _NULLABLE]:
        draft.drop(name)


def disable_thinking_without_stream(draft: Draft) -> None:
    """The open-weight Qwen3 models think by default, but not without a stream: 400 "parameter.enable_thinking
    must be set to false for non-streaming calls" (new-api pull request 1109). A client's own setting stays.
    """
    if draft.facts.thinks_in_streams_only and not draft.stream and draft.get("enable_thinking") is None:
        draft.set("enable_thinking", False)


def map_reasoning_effort(draft: Draft) -> None:
    """Most of Qwen's models have `enable_thinking` and `thinking_budget` in place of `reasoning_effort`.

    A model that is not known, or known to take an effort, gets it as it is; one that never thinks gets none.
    Effort and budget together are a 400 (opencode issue 41531), so Qwen's own fields win if the client sends
    them. An unknown effort goes to Qwen as it is.
    """
    effort = draft.get("reasoning_effort")
    if effort is None:
        return
    facts = draft.facts
    has_own_terms = draft.get("enable_thinking") is not None or draft.get("thinking_budget") is not None
    if has_own_terms or facts.thinking == "never":
        draft.drop("reasoning_effort")
        return
    if facts.thinking is None or facts.takes_effort or not isinstance(effort, str) or effort not in _THINKING:
        return
    draft.drop("reasoning_effort")
    is_enabled, budget = _THINKING[effort]
    if is_enabled or facts.thinking != "always":
        draft.set("enable_thinking", is_enabled)
    if is_enabled and budget is None:
        budget = facts.high_effort_budget
    if budget is not None:
        draft.set("thinking_budget", budget)


def relax_tool_choice_when_thinking(draft: Draft) -> None:
    """400 "The tool_choice parameter does not support being set to required or object in thinking mode" (eino
    issue 994, qwen-code issue 7659); "auto" is the nearest that works.
    """
    choice = draft.get("tool_choice")
    if choice != "required" and not isinstance(choice, dict):
        return
    enabled = draft.get("enable_thinking")
    if enabled is True or (enabled is None and draft.facts.thinking in ("by default", "always")):
        draft.set("tool_choice", "auto")


def mark_last_message(draft: Draft) -> None:
    """When streaming, the CLI marks the end of the conversation for the prompt cache; a text becomes a text
    part.

    Only messages of a user or a tool with some text at the end, and only for Qwen's models.
    """
    if not draft.stream or not _is_qwen(draft.model):
        return
    messages = draft.body.messages
    instructions = set(messages.instructions)
    last = next((i for i in range(messages.items.count - 1, -1, -1) if i not in instructions), None)
    if last is None:
        return
    text = draft.body.text
    members = messages.items.scan_object(last).members
    content = members.get("content")
    if content is None or members["role"].value not in ("user", "tool"):
        return
    value, _, start, end = content
    if isinstance(value, str) and value:
        part = f'{{"type":"text","text":{text[start:end]},"cache_control":{CACHE_CONTROL}}}'
        draft.edit_messages(start, end, f"[{part}]")
    elif isinstance(value, list) and value and value[-1]["type"] == "text" and value[-1]["text"]:
        marked = with_marked_end(text[start:end], value[-1])
        if marked is not None:
            draft.edit_messages(start, end, marked)


def mark_last_tool(draft: Draft) -> None:
    """When streaming, the CLI marks the last tool too, so that all tools are cached."""
    tools = draft.get("tools")
    if tools and draft.stream and _is_qwen(draft.model):
        marked = with_marked_end(draft.text_of("tools"), tools[-1])
        if marked is not None:
            draft.set("tools", tools, marked)


QWEN: tuple[Rule, ...] = (
    drop_nulls,
    *COMMON,
    disable_thinking_without_stream,
    map_reasoning_effort,
    relax_tool_choice_when_thinking,
)
"""The rules for all of Qwen's hosts."""

DASHSCOPE: tuple[Rule, ...] = (*QWEN, rename_developer_role, mark_last_message, mark_last_tool)


# --- what the rules know

_THINKING: dict[str, tuple[bool, int | None]] = {
    "none": (False, None),
    "minimal": (False, None),
    "low": (True, 1024),
    "medium": (True, 8192),
    "high": (True, None),
    "xhigh": (True, None),
    "max": (True, None),
}
"""OpenAI's efforts as (enable_thinking, thinking_budget in tokens); None leaves the model its own budget."""

# fmt: off
_NULLABLE = frozenset((
    "audio", "enable_search", "enable_thinking", "frequency_penalty", "function_call", "functions",
    "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "metadata", "modalities", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "thinking_budget", "tool_choice", "tools", "top_k",
    "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
))
# fmt: on
"""OpenAI's optional parameters and Qwen's own. A null under any other name may mean something."""


# --- helpers


def _is_qwen(model: str) -> bool:
    """Whether a model is Qwen's own, by its name."""
    return "qwen" in model.lower() or model in ("coder-model", "vision-model")


def with_marked_end(text: str, last: Mapping[str, Any]) -> str | None:
    """`text` with a cache mark on `last`, the object that it ends with; None if the client has marked it.

    An explicit `cache_control: null` of the client also stays.
    """
    if "cache_control" in last:
        return None
    end = text.rindex("}")
    separator = "" if text[:end].rstrip(SPACES).endswith("{") else ","
    return f'{text[:end]}{separator}"cache_control":{CACHE_CONTROL}{text[end:]}'
