"""Anthropic's content blocks as the content of chat messages."""

from collections.abc import Mapping
from typing import Any

from qwen_worker.api.messages import checks
from qwen_worker.errors import InvalidRequest

Part = dict[str, Any]

BILLING_HEADER = "x-anthropic-billing-header"
"""How Claude Code's first system block begins. It changes with each version, so it spoils prompt caching."""

CACHE_MARK = {"type": "ephemeral"}
"""The only cache mark that Qwen has; Anthropic's may also name a time to live."""

_WITHOUT_CHAT_FORM = frozenset(("thinking", "redacted_thinking", "tool_addition", "tool_removal"))


def parts_of(content: Any, path: str, *, cache_marks: bool) -> list[Part]:
    """The parts for a content: a string or an array of blocks. Empty texts are left out.

    Raises InvalidRequest for a block that chat completions cannot say.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts: list[Part] = []
    for index, block in enumerate(checks.objects(content, path)):
        parts += part_of(block, f"{path}.{index}", cache_marks=cache_marks)
    return parts


def part_of(block: Mapping[str, Any], path: str, *, cache_marks: bool) -> list[Part]:
    """The part for one block, or none. Raises InvalidRequest for a block that chat completions cannot say."""
    part = _part(block, path)
    if part is None:
        return []
    if cache_marks and block.get("cache_control"):
        part["cache_control"] = CACHE_MARK
    return [part]


def simplest(parts: list[Part]) -> str | list[Part]:
    """One text without a mark as a string, which every host and every template takes."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


def joined_text(parts: list[Part]) -> str:
    """The texts of parts, one below the other."""
    return "\n".join([part["text"] for part in parts if part["type"] == "text"])


def system_parts(system: Any, *, cache_marks: bool) -> list[Part]:
    """The parts for `system`, without Claude Code's billing header."""
    parts = parts_of(system if system is not None else "", "system", cache_marks=cache_marks)
    return [part for part in parts if not part.get("text", "").startswith(BILLING_HEADER)]


def reminder(text: str) -> str:
    """A user's text in place of a system message in the middle of a conversation.

    Qwen's chat templates take a system message at the beginning only. The tags are Claude Code's own for what
    the user has not typed.
    """
    return f"<system-reminder>\n{text}\n</system-reminder>"


def tool_reference_text(block: Mapping[str, Any]) -> str:
    """What a `tool_reference` says, the result of Claude Code's search for deferred tools.

    Here no tool is deferred: the model has been told all of them.
    """
    return f"The tool {block.get('tool_name')} is available."


def _part(block: Mapping[str, Any], path: str) -> Part | None:
    kind = checks.string(block.get("type"), f"{path}.type")
    if kind == "text":
        text = checks.string(block.get("text"), f"{path}.text")
        return {"type": "text", "text": text} if text else None
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": _image_url(block, path)}}
    if kind == "document":
        return {"type": "text", "text": _document_text(block, path)}
    if kind == "search_result":
        about = [block.get("title"), block.get("source")]
        text = joined_text(parts_of(block.get("content"), f"{path}.content", cache_marks=False))
        return {"type": "text", "text": _paragraphs(*about, text)}
    if kind == "tool_reference":
        return {"type": "text", "text": tool_reference_text(block)}
    if kind in _WITHOUT_CHAT_FORM:
        return None
    raise checks.invalid(f"{path}.type", "this kind of content block cannot be sent to Qwen")


def _image_url(block: Mapping[str, Any], path: str) -> str:
    source = checks.mapping(block.get("source"), f"{path}.source")
    kind = checks.one_of(source.get("type"), f"{path}.source.type", ("base64", "url"))
    if kind == "url":
        return checks.string(source.get("url"), f"{path}.source.url")
    media_type = checks.string(source.get("media_type"), f"{path}.source.media_type")
    return f"data:{media_type};base64,{checks.string(source.get('data'), f'{path}.source.data')}"


def _document_text(block: Mapping[str, Any], path: str) -> str:
    source = checks.mapping(block.get("source"), f"{path}.source")
    kind = checks.string(source.get("type"), f"{path}.source.type")
    if kind == "text":
        text = checks.string(source.get("data"), f"{path}.source.data")
    elif kind == "content":
        parts = parts_of(source.get("content"), f"{path}.source.content", cache_marks=False)
        if any(part["type"] != "text" for part in parts):
            raise _no_text(f"{path}.source.content")
        text = joined_text(parts)
    else:
        raise _no_text(f"{path}.source.type")
    return _paragraphs(block.get("title"), block.get("context"), text)


def _no_text(path: str) -> InvalidRequest:
    return checks.invalid(
        path, "Qwen reads documents as text only; PDF and files are not supported, send the text instead"
    )


def _paragraphs(*texts: Any) -> str:
    return "\n\n".join([text for text in texts if isinstance(text, str) and text])
