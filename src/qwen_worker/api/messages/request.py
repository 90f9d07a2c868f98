"""The body of POST /v1/messages: is it JSON, is it a Messages request, and where are its parts.

Only what every host needs is checked here; the bridge or the host checks what a content block holds. Every
failure is an `InvalidRequest` that names the field (`messages.2.role`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from qwen_worker.api.messages import checks
from qwen_worker.careful_scan import scanner_of
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import Items, Member, ObjectText, decoded, scan_object, skip_spaces
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.validation import body_text, invalid_json

ROLES = ("user", "assistant", "system")
"""Claude Code sends `system` in the middle of a conversation (beta mid-conversation-system-2026-04-07)."""


class Array(NamedTuple):
    """A scanned array: its values, and where they are in the text."""

    values: list[Any]
    items: Items


class MessagesRequest(NamedTuple):
    """A checked request to /v1/messages or /v1/messages/count_tokens."""

    raw: bytes
    """The body as it came (without a byte order mark)."""
    text: str
    """`raw` decoded as Latin-1, which `members` point into; see `json_text`."""
    members: dict[str, Member]
    """The top-level fields; `system`, `messages` and `tools` are Arrays if they are arrays. Strings with
    non-ASCII characters are not decoded.
    """
    is_unique: bool
    """Whether no top-level field occurs twice."""
    model: str | None
    """The model that the client names."""
    stream: bool
    stop_sequences: tuple[str, ...]
    user_id: str | None
    """`metadata.user_id`: of Claude Code, the same for all requests of a session."""

    def body(self) -> dict[str, Any]:
        """The whole body, decoded."""
        if self.raw.isascii():
            return {name: plain(member.value) for name, member in self.members.items()}
        body: dict[str, Any] = parse(self.raw)
        return body

    def text_of(self, name: str) -> bytes:
        """A top-level field as the client wrote it; empty if it is not there."""
        member = self.members.get(name)
        return b"" if member is None else self.raw[member.value_start : member.end]


def parse_messages_request(raw: bytes, *, is_count: bool = False) -> MessagesRequest:
    """Checks a body. Raises InvalidRequest, and nothing else, whatever the bytes are.

    `is_count`: the body is for count_tokens, which needs no `max_tokens`.
    """
    raw, text = body_text(raw)
    try:
        body = _scan_body(text)
    except JsonTextError as error:
        raise invalid_json(error) from None
    fields = {name: plain(member.value) for name, member in body.members.items()}
    _check_messages(fields.get("messages"))
    _check_system(fields.get("system"))
    _check_optional(fields)
    if not is_count and fields.get("max_tokens") is None:
        raise checks.missing("max_tokens")
    metadata = fields.get("metadata") or {}
    return MessagesRequest(
        raw=raw,
        text=text,
        members=body.members,
        is_unique=body.is_unique,
        model=_decoded_field(text, body, "model"),
        stream=fields.get("stream") is True,
        stop_sequences=tuple(_decoded_field(text, body, "stop_sequences") or ()),
        user_id=metadata.get("user_id") if isinstance(metadata.get("user_id"), str) else None,
    )


def plain(value: Any) -> Any:
    """The value of a member without the places of its items."""
    return value.values if isinstance(value, Array) else value


# --- JSON


def _scan_body(text: str) -> ObjectText:
    scan = scanner_of(text)

    def scan_array(text: str, position: int) -> tuple[Any, int]:
        value, end = scan(text, position)
        return Array(value, Items(text, position, end, value)) if type(value) is list else value, end

    start = skip_spaces(text, 0)
    is_object = text[start] == "{"
    if is_object:
        body = scan_object(text, start, dict.fromkeys(("system", "messages", "tools"), scan_array), scan)
        end = body.end
    else:
        body, end = ObjectText({}, start, is_unique=True), scan(text, start)[1]
    end = skip_spaces(text, end)
    if end != len(text):
        raise JsonTextError(f"there is more after the end of the value at byte {end}")
    if not is_object:
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    return body


def _decoded_field(text: str, body: ObjectText, name: str) -> Any:
    member = body.members.get(name)
    return None if member is None else decoded(text[member.value_start : member.end])


# --- fields


def _check_messages(messages: Any) -> None:
    if not checks.objects(messages, "messages"):
        raise checks.invalid("messages", "at least one message is required")
    for index, message in enumerate(messages):
        if message.get("role") not in ROLES:
            checks.one_of(message.get("role"), f"messages.{index}.role", ROLES)
        if not isinstance(message.get("content"), str):
            _check_blocks(message.get("content"), f"messages.{index}.content")


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise checks.wrong_type("system", "a string or an array of text blocks")
    _check_blocks(system, "system")


def _check_blocks(content: Any, path: str) -> None:
    for index, block in enumerate(checks.objects(content, path)):
        if not isinstance(block.get("type"), str):
            checks.string(block.get("type"), f"{path}.{index}.type")
        if block["type"] == "text" and not isinstance(block.get("text"), str):
            checks.string(block.get("text"), f"{path}.{index}.text")


def _check_optional(fields: Mapping[str, Any]) -> None:
    """Checks the fields that may be left out. An explicit null counts as absent."""
    given = {name: value for name, value in fields.items() if value is not None}
    if "model" in given:
        checks.string(given["model"], "model")
    if "max_tokens" in given:
        checks.integer(given["max_tokens"], "max_tokens", 1)
    if "top_k" in given:
        checks.integer(given["top_k"], "top_k", 0)
    for name, maximum in (("temperature", 2), ("top_p", 1)):
        if name in given:
            checks.number(given[name], name, 0, maximum)
    if not isinstance(given.get("stream", False), bool):
        raise checks.wrong_type("stream", "a boolean")
    for name in ("metadata", "output_config", "thinking", "tool_choice"):
        if name in given:
            checks.mapping(given[name], name)
    if "thinking" in given:
        _check_thinking(given["thinking"])
    if "tool_choice" in given:
        checks.one_of(given["tool_choice"].get("type"), "tool_choice.type", ("auto", "any", "tool", "none"))
    for index, tool in enumerate(checks.objects(given.get("tools", []), "tools")):
        checks.string(tool.get("name", ""), f"tools.{index}.name")
    sequences = given.get("stop_sequences", [])
    if not isinstance(sequences, list):
        raise checks.wrong_type("stop_sequences", "an array of strings")
    for index, sequence in enumerate(sequences):
        if not checks.string(sequence, f"stop_sequences.{index}"):
            raise checks.invalid(f"stop_sequences.{index}", "Input should not be empty")


def _check_thinking(thinking: Mapping[str, Any]) -> None:
    checks.one_of(thinking.get("type"), "thinking.type", ("enabled", "disabled", "adaptive"))
    if thinking.get("budget_tokens") is not None:
        checks.integer(thinking["budget_tokens"], "thinking.budget_tokens", 0)
