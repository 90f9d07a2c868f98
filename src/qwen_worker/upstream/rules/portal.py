"""What only the portal, the host of OAuth logins, demands of a request."""

import json
from collections.abc import Mapping
from typing import Any

from qwen_worker.json_scan import Member, decoded, object_text
from qwen_worker.upstream.rules.dashscope import (
    CACHE_CONTROL,
    QWEN,
    mark_last_message,
    mark_last_tool,
    with_marked_end,
)
from qwen_worker.upstream.rules.draft import Draft, Rule

_EMPTY_MARKED_PART = f'{{"type":"text","text":"","cache_control":{CACHE_CONTROL}}}'


def merge_instructions(draft: Draft) -> None:
    """The portal answers 400 `invalid_parameter_error` unless the first message is a system message whose
    content is an array of parts, the last of them text with `cache_control`, and there is no other system
    message. With none, an empty text will do.

    All system and developer messages become one at the front, in their order; the parts stay as they are.
    Other fields of the first (a `name`) stay, those of the others have no place.
    """
    text = draft.body.text
    messages = draft.body.messages
    items, indexes = messages.items, messages.instructions
    front = items.start(0)
    if not indexes:
        draft.edit_messages(front, front, f'{{"role":"system","content":[{_EMPTY_MARKED_PART}]}},')
        return
    scanned = [items.scan_object(index).members for index in indexes]
    merged = _merged_content(text, [members["content"] for members in scanned])
    first = scanned[0]
    if (
        indexes == [0]
        and not messages.developers
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


def strip_schema_keywords(draft: Draft) -> None:
    """`strict` and `additionalProperties` in the definition of a tool are a 400 at the portal.

    Only where they are keywords: a parameter that is *named* `strict` stays.
    """
    tools = draft.get("tools")
    text = draft.text_of("tools") if tools else ""
    if '"strict"' not in text and '"additionalProperties"' not in text:
        return
    try:
        if not text.isascii():
            tools = decoded(text)
        stripped = [_without_keywords(tool) for tool in tools]
        if stripped != tools:
            draft.set("tools", stripped, json.dumps(stripped, allow_nan=False, separators=(",", ":")))
    except (RecursionError, ValueError):
        # Too deeply nested, or with a number that no float holds: it goes to Qwen as it is.
        return


PORTAL: tuple[Rule, ...] = (
    *QWEN,
    strip_schema_keywords,
    merge_instructions,
    mark_last_message,
    mark_last_tool,
)


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
        parts[-1] = with_marked_end(parts[-1], last) or parts[-1]
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
