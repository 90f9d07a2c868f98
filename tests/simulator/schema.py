"""The smallest sensible JSON instance of a simple JSON Schema, for tool arguments and `json_schema`
answers.
"""

from __future__ import annotations

from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text

_MAX_DEPTH = 12
_LONGEST = 1_000


def minimal_instance(schema: JsonValue) -> JsonValue:
    """Return an instance of `schema`.

    Understands type, properties, items and minItems, enum, const, default, anyOf/oneOf/allOf (first
    branch), numeric minimum, minLength and local `$ref`. A recursive schema is cut off with null.
    """
    root = as_object(schema)
    return _instance(root, root, 0)


def _instance(schema: JsonObject, root: JsonObject, depth: int) -> JsonValue:
    if depth > _MAX_DEPTH:
        return None
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if enum := as_list(schema.get("enum")):
        return enum[0]
    if reference := as_text(schema.get("$ref")):
        return _instance(_resolve(reference, root), root, depth + 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if branches := as_list(schema.get(keyword)):
            return _instance(as_object(branches[0]), root, depth + 1)
    return _instance_of_type(_type_of(schema), schema, root, depth)


def _instance_of_type(kind: str, schema: JsonObject, root: JsonObject, depth: int) -> JsonValue:
    if kind == "object":
        properties = as_object(schema.get("properties"))
        return {name: _instance(as_object(inner), root, depth + 1) for name, inner in properties.items()}
    if kind == "array":
        least = schema.get("minItems")
        count = min(least, _LONGEST) if isinstance(least, int) else 1
        return [_instance(as_object(schema.get("items")), root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        minimum = schema.get("minimum")
        return minimum if isinstance(minimum, (int, float)) else 1
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    least_length = schema.get("minLength")
    return "text".ljust(min(least_length, _LONGEST), "x") if isinstance(least_length, int) else "text"


def _type_of(schema: JsonObject) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "string"


def _resolve(reference: str, root: JsonObject) -> JsonObject:
    node: JsonValue = root
    for part in reference.removeprefix("#/").split("/"):
        node = as_object(node).get(part)
    return as_object(node)
