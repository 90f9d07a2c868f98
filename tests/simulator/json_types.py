"""JSON documents: their type, cautious access, and their form on the wire."""

from __future__ import annotations

import json
from typing import TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"


def as_object(value: JsonValue) -> JsonObject:
    """Return `value` if it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """Return `value` if it is a JSON array, otherwise an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: JsonValue) -> str:
    """Return `value` if it is a JSON string, otherwise an empty one."""
    return value if isinstance(value, str) else ""


def compact(value: JsonValue, *, indent: int | None = None) -> str:
    """Return `value` as Qwen's API writes it: no spaces, no escaping of what is not ASCII."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
