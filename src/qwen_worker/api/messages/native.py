"""A Messages request as a host takes it that speaks Messages: small rules, each with its reason.

What Anthropic takes and a host may refuse is made fit. Sources: apis-on-the-wire 1.2, 2.1 and 5; of most it
is not known what each of Qwen's hosts does today, and every host that only imitates Anthropic has failed on
some.
"""

from typing import Any

from qwen_worker.api.messages import checks
from qwen_worker.api.messages.bridge_content import BILLING_HEADER, reminder, tool_reference_text
from qwen_worker.api.messages.bridge_tools import is_client_tool, is_tool_forced
from qwen_worker.api.messages.native_body import Draft
from qwen_worker.api.messages.request import MessagesRequest
from qwen_worker.api.messages.thinking import ModelFacts, clamped_max_tokens, native_thinking
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import JsonTextError

Block = dict[str, Any]


def native_body(request: MessagesRequest, *, model: str, facts: ModelFacts) -> bytes:
    """The body for a host. `model` is the host's name of the model. Raises InvalidRequest for a conversation
    that says nothing, and for a body nested to the edge of the stack.
    """
    draft = Draft(request)
    name_the_model(draft, model)
    drop_fields_of_anthropic(draft)
    try:
        draft.change_items("system", drop_billing_header)
        draft.change_items("messages", normalised_message)
        draft.change_items("tools", normalised_tool)
    except JsonTextError:
        raise InvalidRequest("The request body is nested too deeply.", code="invalid_json") from None
    if draft.get("system") == []:
        draft.drop("system")
    if not draft.get("messages"):
        raise checks.invalid("messages", "there is no content")
    drop_choice_without_tool(draft)
    clamp_max_tokens(draft, facts)
    normalise_thinking(draft, facts)
    drop_effort(draft, facts)
    return draft.body()


# --- fields


def name_the_model(draft: Draft, model: str) -> None:
    """Qwen's hosts answer 400 "Model not exist." to `claude-*`."""
    if draft.request.model != model:
        draft.set("model", model)


def drop_fields_of_anthropic(draft: Draft) -> None:
    """`context_management` without thinking is a 400 (claude-code issue 21595); the others name what only
    Anthropic's servers have. `output_format` is the older name of `output_config.format`.
    """
    for name in _FIELDS_OF_ANTHROPIC:
        draft.drop(name)
    old_format = draft.read("output_format")
    if old_format is not None:
        draft.drop("output_format")
        config = draft.read("output_config") or {}
        if "format" not in config:
            draft.set("output_config", {**config, "format": old_format})


def clamp_max_tokens(draft: Draft, facts: ModelFacts) -> None:
    """400 "Range of max_tokens should be [1, 65536]": Claude Code asks for 64,000 or 128,000 by default."""
    given = draft.get("max_tokens")
    if given is not None:
        clamped = clamped_max_tokens(given, facts)
        if clamped != given:
            draft.set("max_tokens", clamped)


def normalise_thinking(draft: Draft, facts: ModelFacts) -> None:
    """`adaptive`, a budget of 0 and one of `max_tokens` or more have been 400s (claude-code issue 29531,
    routatic pull request 171); so is a forced tool while thinking, at qwen3.8-flash.

    A count of tokens has no `max_tokens`, and thinking changes nothing about it.
    """
    max_tokens = draft.get("max_tokens")
    is_forced = is_tool_forced(draft.fields)
    thinking = None
    if max_tokens is not None:
        effort = (draft.get("output_config") or {}).get("effort")
        thinking = native_thinking(
            draft.get("thinking"),
            facts,
            max_tokens=max_tokens,
            effort=effort if isinstance(effort, str) else None,
            is_tool_forced=is_forced,
        )
    if thinking is None:
        draft.drop("thinking")
    elif thinking != draft.get("thinking"):
        draft.set("thinking", thinking)
    is_thinking = facts.thinks == "always" or (thinking is not None and thinking["type"] == "enabled")
    if is_forced and is_thinking:
        relax_tool_choice(draft)


def drop_effort(draft: Draft, facts: ModelFacts) -> None:
    """An effort means nothing to a model that never thinks."""
    if facts.thinks != "never" or "effort" not in (draft.get("output_config") or {}):
        return
    rest = {name: value for name, value in draft.read("output_config").items() if name != "effort"}
    if rest:
        draft.set("output_config", rest)
    else:
        draft.drop("output_config")


def relax_tool_choice(draft: Draft) -> None:
    """The choice "auto" is the nearest to a forced tool that works while thinking."""
    choice = {name: value for name, value in draft.read("tool_choice").items() if name != "name"}
    draft.set("tool_choice", {**choice, "type": "auto"})


def drop_choice_without_tool(draft: Draft) -> None:
    """A choice says nothing without a tool, and cannot be followed if its tool was left out."""
    tools = draft.get("tools")
    choice = draft.get("tool_choice")
    if not tools:
        draft.drop("tools")
        draft.drop("tool_choice")
    elif choice and choice["type"] == "tool" and all(t.get("name") != choice.get("name") for t in tools):
        draft.drop("tool_choice")


_FIELDS_OF_ANTHROPIC = (
    "betas",
    "container",
    "context_management",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "service_tier",
    "speed",
)


# --- system, messages and tools


def drop_billing_header(block: Block) -> Block | None:
    """Claude Code's first system block changes with each version: kept first, it spoils prompt caching."""
    if block.get("type") == "text" and (not block["text"] or block["text"].startswith(BILLING_HEADER)):
        return None
    return block


def normalised_message(message: Block) -> Block | None:
    """A message after all rules for messages; None if it says nothing."""
    changed = system_as_user(message)
    content = changed["content"]
    if isinstance(content, str):
        return changed if content else None
    blocks = [normalised_block(block) for block in content]
    if all(new is old for new, old in zip(blocks, content, strict=True)):
        return changed if blocks else None
    left = [block for block in blocks if block is not None]
    return {**changed, "content": left} if left else None


def system_as_user(message: Block) -> Block:
    """`role: "system"` within `messages` is a 400 at hosts that look like Anthropic (claude-code issues
    63469, 63473, 77698): a user's text in its place.
    """
    if message["role"] != "system":
        return message
    content = message["content"]
    if isinstance(content, str):
        return {**message, "role": "user", "content": reminder(content) if content else ""}
    texts = [
        {**block, "text": reminder(block["text"])}
        for block in content
        if block["type"] == "text" and block["text"]
    ]
    return {**message, "role": "user", "content": texts}


def normalised_block(block: Block) -> Block | None:
    """A block after all rules for blocks; None if it is left out."""
    kind = block["type"]
    if kind == "text":
        return block if block["text"] else None
    if kind == "thinking":
        return without_empty_signature(block)
    if kind == "redacted_thinking":
        # Only Anthropic can read it.
        return None
    if kind == "tool_result" and isinstance(block.get("content"), list):
        return normalised_result(block)
    return block


def without_empty_signature(block: Block) -> Block | None:
    """Thinking of Qwen's models has `signature: ""`, which strict hosts refuse when it is sent back; an empty
    thinking block says nothing.
    """
    if not block.get("thinking"):
        return None
    if block.get("signature") == "":
        return {name: value for name, value in block.items() if name != "signature"}
    return block


def normalised_result(block: Block) -> Block:
    """A result without empty texts, a `tool_reference` as text: it belongs to tools that are deferred, and no
    tool is (`normalised_tool`).
    """
    content = block["content"]
    changed = [
        {"type": "text", "text": tool_reference_text(item)} if kind_of(item) == "tool_reference" else item
        for item in content
        if not (kind_of(item) == "text" and not item.get("text"))
    ]
    if len(changed) == len(content) and all(new is old for new, old in zip(changed, content, strict=True)):
        return block
    return {**block, "content": changed or ""}


def kind_of(item: Any) -> Any:
    """The type of an item of a result; None for what is no object, and for the host to refuse."""
    return item.get("type") if isinstance(item, dict) else None


def normalised_tool(tool: Block) -> Block | None:
    """Server tools (`web_search_20250305`) are left out: Qwen's hosts do not run them. `defer_loading` and
    what else belongs to Anthropic's tool search is taken off.
    """
    if not is_client_tool(tool):
        return None
    if not _TOOL_FIELDS_OF_ANTHROPIC.isdisjoint(tool):
        return {name: value for name, value in tool.items() if name not in _TOOL_FIELDS_OF_ANTHROPIC}
    return tool


_TOOL_FIELDS_OF_ANTHROPIC = frozenset(
    ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")
)
