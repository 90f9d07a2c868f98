"""What a request to any host must be like."""

from qwen_worker.json_scan import Items, scan_object
from qwen_worker.upstream.chat_body import is_empty_call
from qwen_worker.upstream.rules.draft import Draft, Rule


def name_the_model(draft: Draft) -> None:
    """A request without a model gets the default; configured aliases and, for API keys, the portal's aliases
    are replaced (`models.resolve_model`). Every other name goes to Qwen as it is.
    """
    if draft.model != draft.named_model:
        draft.set("model", draft.model)


def drop_empty_tools(draft: Draft) -> None:
    """Every Qwen host answers 400 "[] is too short - 'tools'" (qwen-code issues 238 and 2054). Without tools
    `tool_choice` and `parallel_tool_calls` say nothing, and OpenAI rejects them.
    """
    if draft.get("tools") == []:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            draft.drop(name)


def drop_stray_stream_options(draft: Draft) -> None:
    """`stream_options` without `stream` is a 400 at some hosts, and means nothing."""
    if "stream_options" in draft.fields and not draft.stream:
        draft.drop("stream_options")


def drop_absent_limits(draft: Draft) -> None:
    """0 and -1 mean "no limit" to many tools, which send them as their default (-1 is llama.cpp's word); Qwen
    answers 400 "Range of max_tokens should be [1, 65536]". For every host: the model's own limit is what
    applies without a limit.
    """
    for name in ("max_tokens", "max_completion_tokens"):
        limit = draft.get(name)
        if limit is not None and limit < 1:
            draft.drop(name)


def rename_max_completion_tokens(draft: Draft) -> None:
    """Qwen knows `max_tokens` only; a limit under OpenAI's newer name would be ignored or rejected.

    For every host: all that serve Qwen's models know `max_tokens`. If a client sends both, the newer one
    counts.
    """
    if "max_completion_tokens" in draft.fields:
        limit = draft.get("max_completion_tokens")
        if limit is not None:
            draft.set("max_tokens", limit, draft.text_of("max_completion_tokens"))
        draft.drop("max_completion_tokens")


def clamp_max_tokens(draft: Draft) -> None:
    """Qwen's models answer 400 "Range of max_tokens should be [1, 65536]" to more; tools made for other
    models ask for it. Only limits above the model's longest known output change; a request without a limit
    gets none.
    """
    limit, longest = draft.get("max_tokens"), draft.facts.output_tokens
    if limit is not None and longest is not None and limit > longest:
        draft.set("max_tokens", longest)


def fill_empty_arguments(draft: Draft) -> None:
    """Models call a tool that takes nothing with empty arguments, and clients send the call back as they got
    it; DashScope answers 400, since arguments must be JSON (qwen-protocol.md section 4), and so do engines
    that read them for the prompt.
    """
    text, messages = draft.body.text, draft.body.messages
    for index in messages.empty_calls:
        calls = messages.items.scan_object(index).members["tool_calls"]
        places = Items(text, calls.value_start, calls.end, calls.value)
        for number, call in enumerate(calls.value):
            if is_empty_call(call):
                function = places.scan_object(number).members["function"]
                arguments = scan_object(text, function.value_start).members["arguments"]
                draft.edit_messages(arguments.value_start, arguments.end, '"{}"')


def rename_developer_role(draft: Draft) -> None:
    """400 "developer is not one of ['system', 'assistant', 'user', 'tool', 'function']", at DashScope and at
    most hosts that serve Qwen's models; OpenAI's developer messages are what system messages were.
    """
    messages = draft.body.messages
    for index in messages.developers:
        role = messages.items.scan_object(index).members["role"]
        draft.edit_messages(role.value_start, role.end, '"system"')


COMMON: tuple[Rule, ...] = (
    name_the_model,
    drop_empty_tools,
    drop_stray_stream_options,
    fill_empty_arguments,
    drop_absent_limits,
    rename_max_completion_tokens,
    clamp_max_tokens,
)
"""The rules for every host."""

OTHER: tuple[Rule, ...] = (*COMMON, rename_developer_role)
"""The rules for hosts that are not Qwen's own."""
