"""An OpenAI chat request as Qwen takes it. Pure: no I/O, no clock, nothing kept.

Everything a client sends reaches Qwen as it was spelled, unless a rule changes it. A rule changes only what
Qwen would reject, or what Qwen names otherwise; its docstring says why, and where the fact is from ("CLI":
seen in the official Qwen Code CLI). If no rule changes anything, the client's own bytes are sent.

Preparing a prepared body changes nothing. The rules for Qwen's own hosts are loaded with the first request to
one.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from qwen_worker.api.chat.request import ChatRequest
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.credential import Credential
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import JsonTextError
from qwen_worker.models import resolve_model
from qwen_worker.upstream.hosts import HostFamily, family_of

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
    draft = Draft(request, model)
    try:
        for apply_rule in _rules_for(target.family):
            apply_rule(draft)
    except JsonTextError as error:
        raise InvalidRequest(f"The request body cannot be read: {error}.", code="invalid_json") from None
    return PreparedRequest(draft.body(), model)


class Draft:
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
        """A field's current value, or None."""
        return self.fields.get(name)

    def set(self, name: str, value: Any, text: str | None = None) -> None:
        """Gives a field a value, spelled as `text`."""
        self.fields[name] = value
        self._texts[name] = json.dumps(value) if text is None else text

    def drop(self, name: str) -> None:
        """Leaves a field out, if it is there."""
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
        """The body as it is sent: the client's own bytes if nothing is different."""
        request = self.request
        if (
            request.is_unique
            and not self._texts
            and not self._message_edits
            and len(self.fields) == len(request.members)
        ):
            return request.raw
        raw = memoryview(request.raw)
        pieces: list[bytes | memoryview] = []
        for name in self.fields:
            pieces.append(b"," if pieces else b"{")
            text = self._texts.get(name)
            if text is None:
                self._add_member(pieces, name, raw)
            else:
                pieces.append(f'"{name}":{text}'.encode("latin-1"))
        pieces.append(b"}")
        return b"".join(pieces)

    def _add_member(self, pieces: list[bytes | memoryview], name: str, raw: memoryview) -> None:
        """Adds a member as the client spelled it, without a copy; of the messages, with the edits."""
        _, position, _, end = self.request.members[name]
        if name == "messages":
            for edit_start, edit_end, replacement in sorted(self._message_edits):
                pieces += (raw[position:edit_start], replacement.encode("latin-1"))
                position = edit_end
        pieces.append(raw[position:end])


# --- rules for every upstream


def name_the_model(draft: Draft) -> None:
    """A request without a model gets the default; configured aliases and, for API keys, the portal's aliases
    are replaced (`upstream/models.py`). Every other name goes to Qwen as it is.
    """
    if draft.model != draft.request.model:
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
    if "stream_options" in draft.fields and not draft.request.stream:
        draft.drop("stream_options")


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
    models ask for it. Only above that, and only for Qwen's models: a limit is never invented.
    """
    limit = draft.get("max_tokens")
    if limit is not None and limit > MAX_OUTPUT_TOKENS and is_qwen(draft.model):
        draft.set("max_tokens", MAX_OUTPUT_TOKENS)


def rename_developer_role(draft: Draft) -> None:
    """400 "developer is not one of ['system', 'assistant', 'user', 'tool', 'function']", at DashScope and at
    most hosts that serve Qwen's models; OpenAI's developer messages are what system messages were.
    """
    for index in draft.request.messages.developers:
        role = draft.request.messages.items.scan_object(index).members["role"]
        draft.edit_messages(role.value_start, role.end, '"system"')


Rule = Callable[[Draft], None]

COMMON: tuple[Rule, ...] = (
    name_the_model,
    drop_empty_tools,
    drop_stray_stream_options,
    rename_max_completion_tokens,
    clamp_max_tokens,
)
"""The rules for every upstream."""


@cache
def _rules_for(family: HostFamily) -> tuple[Rule, ...]:
    if family == "portal":
        from qwen_worker.upstream.rules.portal import PORTAL

        return PORTAL
    if family == "dashscope":
        from qwen_worker.upstream.rules.dashscope import DASHSCOPE

        return DASHSCOPE
    return (*COMMON, rename_developer_role)


def is_qwen(model: str) -> bool:
    """Whether a model is Qwen's own, by its name."""
    return "qwen" in model.lower() or model in ("coder-model", "vision-model")
