"""An OpenAI chat request as Qwen takes it. Pure: no I/O, no clock, nothing kept.

Everything a client sends reaches Qwen as it was spelled, unless a rule below changes it. A rule changes only
what Qwen would reject, or what Qwen names otherwise; its docstring says why, and where the fact is from
("CLI": seen in the official Qwen Code CLI). If no rule changes anything, the client's own bytes are sent.

Preparing a prepared body changes nothing.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from qwen_worker.chat_request import ChatRequest
from qwen_worker.config import Settings
from qwen_worker.credentials.model import Credential
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import (
    JsonTextError,
    Member,
    decoded,
    object_text,
)
from qwen_worker.upstream.hosts import HostFamily, family_of
from qwen_worker.upstream.models import resolve_model

CACHE_CONTROL = '{"type":"ephemeral"}'

MAX_OUTPUT_TOKENS = 65_536
"""What the largest of Qwen's models write at most."""


class Target(NamedTuple):
    """Where a request goes, as far as its body depends on it."""

    kind: Literal["oauth", "api_key"]
    family: HostFamily
    default_model: str
    aliases: Mapping[str, str]


class PreparedRequest(NamedTuple):
    """The body for Qwen, and the model that it names."""

    body: bytes
    model: str


def target_for(credential: Credential, settings: Settings) -> Target:
    """The target of a call with this credential."""
    return Target(credential.kind, family_of(credential), settings.default_model, settings.model_aliases)


def prepare_request(request: ChatRequest, target: Target) -> PreparedRequest:
    """Applies the rules of the target's family. Raises InvalidRequest for a body nested to the edge of the
    stack.
    """
    model = resolve_model(
        request.model, default=target.default_model, aliases=target.aliases, is_oauth=target.kind == "oauth"
    )
    draft = _Draft(request, model)
    try:
        for apply_rule in _RULES[target.family]:
            apply_rule(draft)
    except JsonTextError as error:
        raise InvalidRequest(f"The request body cannot be read: {error}.", code="invalid_json") from None
    return PreparedRequest(draft.body(), model)


class _Draft:
    """The body in the making: the client's text, and what is to be different from it.

    `fields` holds the current value of each top-level field; of changed ones, `_texts` holds the JSON text.
    """

    __slots__ = ("_message_edits", "_texts", "fields", "model", "request")

    def __init__(self, request: ChatRequest, model: str) -> None:
        self.request = request
        self.model = model
        self.fields: dict[str, Any] = {name: member.value for name, member in request.members.items()}
        self._texts: dict[str, str] = {}
        self._message_edits: list[tuple[int, int, str]] = []

    def get(self, name: str) -> Any:
        return self.fields.get(name)

    def set(self, name: str, value: Any, text: str | None = None) -> None:
        """Gives a field a value, spelled as `text`."""
        self.fields[name] = value
        self._texts[name] = json.dumps(value) if text is None else text

    def drop(self, name: str) -> None:
        self.fields.pop(name, None)
        self._texts.pop(name, None)

    def text_of(self, name: str) -> str:
        """The current JSON text of a field that is there (not of `messages`)."""
        text = self._texts.get(name)
        if text is None:
            member = self.request.members[name]
            text = self.request.text[member.value_start : member.end]
        return text

    def edit_messages(self, start: int, end: int, text: str) -> None:
        """Replaces `request.text[start:end]`, a place within the messages. Places must not overlap."""
        self._message_edits.append((start, end, text))

    def body(self) -> bytes:
        request = self.request
        if (
            request.is_unique
            and not self._texts
            and not self._message_edits
            and len(self.fields) == len(request.members)
        ):
            return request.raw
        spelled = [self._spelled(name) for name in self.fields]
        return object_text(spelled).encode("latin-1")

    def _spelled(self, name: str) -> str:
        if name == "messages":
            return f'"messages":{self._messages_text()}'
        text = self._texts.get(name)
        if text is not None:
            return f'"{name}":{text}'
        member = self.request.members[name]
        return self.request.text[member.start : member.end]

    def _messages_text(self) -> str:
        text = self.request.text
        member = self.request.members["messages"]
        pieces: list[str] = []
        position = member.value_start
        for start, end, replacement in sorted(self._message_edits):
            pieces += (text[position:start], replacement)
            position = end
        pieces.append(text[position : member.end])
        return "".join(pieces)


# --- rules for every upstream


def name_the_model(draft: _Draft) -> None:
    """A request without a model gets the default; configured aliases and, for API keys, the portal's aliases
    are replaced (`upstream/models.py`). Every other name goes to Qwen as it is.
    """
    if draft.model != draft.request.model:
        draft.set("model", draft.model)


def drop_empty_tools(draft: _Draft) -> None:
    """Every Qwen host answers 400 "[] is too short - 'tools'" (qwen-code issues 238 and 2054). Without tools
    `tool_choice` and `parallel_tool_calls` say nothing, and OpenAI rejects them.
    """
    if draft.get("tools") == []:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            draft.drop(name)


def drop_stray_stream_options(draft: _Draft) -> None:
    """`stream_options` without `stream` is a 400 at some hosts, and means nothing."""
    if "stream_options" in draft.fields and not draft.request.stream:
        draft.drop("stream_options")


def rename_max_completion_tokens(draft: _Draft) -> None:
    """Qwen knows `max_tokens` only; a limit under OpenAI's newer name would be ignored or rejected.

    For every host: all that serve Qwen's models know `max_tokens`. If a client sends both, the newer one
    counts.
    """
    if "max_completion_tokens" in draft.fields:
        limit = draft.get("max_completion_tokens")
        if limit is not None:
            draft.set("max_tokens", limit, draft.text_of("max_completion_tokens"))
        draft.drop("max_completion_tokens")


def clamp_max_tokens(draft: _Draft) -> None:
    """Qwen's models answer 400 "Range of max_tokens should be [1, 65536]" to more; tools made for other
    models ask for it. Only above that, and only for Qwen's models: a limit is never invented.
    """
    limit = draft.get("max_tokens")
    if limit is not None and limit > MAX_OUTPUT_TOKENS and _is_qwen(draft.model):
        draft.set("max_tokens", MAX_OUTPUT_TOKENS)


def rename_developer_role(draft: _Draft) -> None:
    """400 "developer is not one of ['system', 'assistant', 'user', 'tool', 'function']", at DashScope and at
    most hosts that serve Qwen's models; OpenAI's developer messages are what system messages were.
    """
    for index in draft.request.messages.developers:
        role = draft.request.messages.items.scan_object(index).members["role"]
        draft.edit_messages(role.value_start, role.end, '"system"')


# --- rules for Qwen's hosts


def drop_nulls(draft: _Draft) -> None:
    """OpenAI takes an explicit null for "not set", and SDKs send it; Qwen checks the type of what it gets."""
    for name in [name for name, value in draft.fields.items() if value is None and name in _NULLABLE]:
        draft.drop(name)


def disable_thinking_without_stream(draft: _Draft) -> None:
    """The open-weight Qwen3 models think by default, but not without a stream: 400 "parameter.enable_thinking
    must be set to false for non-streaming calls" (new-api pull request 1109). A client's own setting stays.
    """
    if (
        not draft.request.stream
        and draft.get("enable_thinking") is None
        and _thinks_in_streams_only(draft.model)
    ):
        draft.set("enable_thinking", False)


def map_reasoning_effort(draft: _Draft) -> None:
    """Qwen has `enable_thinking` and `thinking_budget` in place of `reasoning_effort`, and effort and budget
    together are rejected. What the client says in Qwen's own terms wins; an unknown effort is Qwen's to
    judge.
    """
    effort = draft.get("reasoning_effort")
    if effort is None:
        return
    if draft.get("enable_thinking") is not None or draft.get("thinking_budget") is not None:
        draft.drop("reasoning_effort")
        return
    if not isinstance(effort, str) or effort not in _THINKING:
        return
    draft.drop("reasoning_effort")
    is_enabled, budget = _THINKING[effort]
    if is_enabled or not _always_thinks(draft.model):
        draft.set("enable_thinking", is_enabled)
    if budget is not None:
        draft.set("thinking_budget", budget)


def relax_tool_choice_when_thinking(draft: _Draft) -> None:
    """400 "The tool_choice parameter does not support being set to required or object in thinking mode" (eino
    issue 994, qwen-code issue 7659); "auto" is the nearest that works.
    """
    choice = draft.get("tool_choice")
    if choice != "required" and not isinstance(choice, dict):
        return
    enabled = draft.get("enable_thinking")
    if enabled is True or (enabled is None and _thinks_by_default(draft.model)):
        draft.set("tool_choice", "auto")


def mark_last_message(draft: _Draft) -> None:
    """When streaming, the CLI marks the end of the conversation for the prompt cache; a text becomes a text
    part.

    Only messages of a user or a tool with some text at the end, and only for Qwen's models.
    """
    if not draft.request.stream or not _is_qwen(draft.model):
        return
    messages = draft.request.messages
    instructions = set(messages.instructions)
    last = next((i for i in range(messages.items.count - 1, -1, -1) if i not in instructions), None)
    if last is None:
        return
    text = draft.request.text
    members = messages.items.scan_object(last).members
    content = members.get("content")
    if content is None or members["role"].value not in ("user", "tool"):
        return
    value, _, start, end = content
    if isinstance(value, str) and value:
        part = f'{{"type":"text","text":{text[start:end]},"cache_control":{CACHE_CONTROL}}}'
        draft.edit_messages(start, end, f"[{part}]")
    elif isinstance(value, list) and value and value[-1]["type"] == "text" and value[-1]["text"]:
        marked = _with_marked_end(text[start:end], value[-1])
        if marked is not None:
            draft.edit_messages(start, end, marked)


def mark_last_tool(draft: _Draft) -> None:
    """When streaming, the CLI marks the last tool too, so that all tools are cached."""
    tools = draft.get("tools")
    if tools and draft.request.stream and _is_qwen(draft.model):
        marked = _with_marked_end(draft.text_of("tools"), tools[-1])
        if marked is not None:
            draft.set("tools", tools, marked)


# --- rules for the portal (OAuth logins)


def merge_instructions(draft: _Draft) -> None:
    """The portal answers 400 `invalid_parameter_error` unless the first message is a system message whose
    content is an array of parts, the last of them text with `cache_control`, and there is no other system
    message. With none, an empty text will do.

    All system and developer messages become one at the front, in their order; the parts stay as they are.
    Other fields of the first (a `name`) stay, those of the others have no place.
    """
    text = draft.request.text
    items, indexes, developers, _ = draft.request.messages
    front = items.start(0)
    if not indexes:
        draft.edit_messages(front, front, f'{{"role":"system","content":[{_EMPTY_MARKED_PART}]}},')
        return
    scanned = [items.scan_object(index).members for index in indexes]
    merged = _merged_content(text, [members["content"] for members in scanned])
    first = scanned[0]
    if (
        indexes == [0]
        and not developers
        and merged == text[first["content"].value_start : first["content"].end]
    ):
        return
    replaced = {"role": '"role":"system"', "content": f'"content":{merged}'}
    message = object_text(
        [replaced.get(name) or text[member.start : member.end] for name, member in first.items()]
    )
    if indexes[0] == 0:
        draft.edit_messages(front, items.end(0), message)
    else:
        draft.edit_messages(front, front, f"{message},")
    for index in indexes:
        if index > 0:
            draft.edit_messages(items.end(index - 1), items.end(index), "")


def strip_schema_keywords(draft: _Draft) -> None:
    """`strict` and `additionalProperties` in the definition of a tool are a 400 at the portal.

    Only where they are keywords: a parameter that is *named* `strict` stays.
    """
    tools = draft.get("tools")
    text = draft.text_of("tools") if tools else ""
    if '"strict"' not in text and '"additionalProperties"' not in text:
        return
    if not text.isascii():
        tools = decoded(text)
    try:
        stripped = [_without_keywords(tool) for tool in tools]
        if stripped != tools:
            draft.set("tools", stripped, json.dumps(stripped, allow_nan=False, separators=(",", ":")))
    except (RecursionError, ValueError):
        # Nested beyond reason, or with a number that no float holds: Qwen is to judge it as it is.
        return


Rule = Callable[[_Draft], None]

_COMMON: tuple[Rule, ...] = (
    name_the_model,
    drop_empty_tools,
    drop_stray_stream_options,
    rename_max_completion_tokens,
    clamp_max_tokens,
)
_QWEN: tuple[Rule, ...] = (
    drop_nulls,
    *_COMMON,
    disable_thinking_without_stream,
    map_reasoning_effort,
    relax_tool_choice_when_thinking,
)
_RULES: dict[HostFamily, tuple[Rule, ...]] = {
    "portal": (*_QWEN, strip_schema_keywords, merge_instructions, mark_last_message, mark_last_tool),
    "dashscope": (*_QWEN, rename_developer_role, mark_last_message, mark_last_tool),
    "other": (*_COMMON, rename_developer_role),
}


# --- what the rules know about models

_THINKING: dict[str, tuple[bool, int | None]] = {
    "none": (False, None),
    "minimal": (False, None),
    "low": (True, 1024),
    "medium": (True, 8192),
    "high": (True, None),
    "xhigh": (True, None),
}
"""OpenAI's efforts as (enable_thinking, thinking_budget in tokens); None leaves the model its own budget."""

_streams_only = re.compile(r"qwen3-[\d.]+b(-a\d+b)?").fullmatch
_always = re.compile(r"qwq|qvq|.*-thinking").match
_by_default = re.compile(r"qwen3\.[5-9]").match


def _is_qwen(model: str) -> bool:
    return "qwen" in model.lower() or model in ("coder-model", "vision-model")


def _thinks_in_streams_only(model: str) -> bool:
    """The open-weight hybrids: `qwen3-32b`, `qwen3-235b-a22b`."""
    return _streams_only(model) is not None


def _always_thinks(model: str) -> bool:
    """Models for which `enable_thinking: false` is a 400: `qwq-plus`, `qwen3-vl-235b-a22b-thinking`."""
    return _always(model) is not None


def _thinks_by_default(model: str) -> bool:
    """Models that think unless told not to: those above, and Qwen 3.5 and later."""
    return _always_thinks(model) or _by_default(model) is not None


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

_EMPTY_MARKED_PART = f'{{"type":"text","text":"","cache_control":{CACHE_CONTROL}}}'


def _with_marked_end(text: str, last: Mapping[str, Any]) -> str | None:
    """`text` with a cache mark on `last`, the object that it ends with; None if the client has marked it.

    An explicit `cache_control: null` is the client's own word too.
    """
    if "cache_control" in last:
        return None
    end = text.rindex("}")
    separator = "" if text[:end].rstrip(" \t\n\r").endswith("{") else ","
    return f'{text[:end]}{separator}"cache_control":{CACHE_CONTROL}{text[end:]}'


def _merged_content(text: str, contents: list[Member]) -> str:
    """One array with the parts of all contents (strings or arrays), the last a text with a cache mark."""
    parts: list[str] = []
    last: Mapping[str, Any] = {"type": ""}
    for content in contents:
        if isinstance(content.value, str):
            parts.append(f'{{"type":"text","text":{text[content.value_start : content.end]}}}')
            last = {"type": "text"}
        elif content.value:
            parts.append(text[content.value_start + 1 : content.end - 1])
            last = content.value[-1]
    if last["type"] != "text" or last.get("cache_control", CACHE_CONTROL) is None:
        parts.append(_EMPTY_MARKED_PART)
    else:
        parts[-1] = _with_marked_end(parts[-1], last) or parts[-1]
    return f"[{','.join(parts)}]"


def _without_keywords(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool without `strict`, its parameters' schema without `additionalProperties`. Also the flat form."""
    stripped = {name: value for name, value in tool.items() if name != "strict"}
    if isinstance(tool.get("function"), dict):
        stripped["function"] = _without_keywords(tool["function"])
    if "parameters" in tool:
        stripped["parameters"] = _without_additional_properties(tool["parameters"])
    return stripped


def _without_additional_properties(schema: Any) -> Any:
    """A JSON schema, or an array of them, without the keyword `additionalProperties` at any level."""
    if isinstance(schema, list):
        return [_without_additional_properties(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    stripped = {}
    for keyword, value in schema.items():
        if keyword in _SCHEMAS:
            stripped[keyword] = _without_additional_properties(value)
        elif keyword in _SCHEMAS_BY_NAME and isinstance(value, dict):
            stripped[keyword] = {name: _without_additional_properties(item) for name, item in value.items()}
        elif keyword != "additionalProperties":
            stripped[keyword] = value
    return stripped


_SCHEMAS = frozenset(
    (
        "allOf",
        "anyOf",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "oneOf",
        "prefixItems",
        "propertyNames",
        "then",
    )
)
"""Keywords of JSON Schema whose value is a schema or an array of schemas."""

_SCHEMAS_BY_NAME = frozenset(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"))
"""Keywords of JSON Schema whose value has schemas under names of the author's choice."""
