"""What is wrong with a field, said as OpenAI says it: `param` is the path (`input[2].content[0].text`)."""

from typing import Any

from qwen_worker.errors import InvalidRequest


def missing(param: str) -> InvalidRequest:
    """The error for a field that must be there."""
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, expected: str, value: Any) -> InvalidRequest:
    """The error for a value of another type; `expected` is "a string" and the like."""
    if value is None:
        return missing(param)
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {_type_name(value)} instead.",
        param=param,
        code="invalid_type",
    )


def text_in(owner: dict[str, Any], name: str, where: str) -> str:
    """The string `owner[name]`. Raises InvalidRequest if it is missing or something else."""
    value = owner.get(name)
    if not isinstance(value, str):
        raise wrong_type(f"{where}.{name}" if where else name, "a string", value)
    return value


def optional(body: dict[str, Any], name: str, kind: type | tuple[type, ...], expected: str) -> Any:
    """`body[name]` if it is of that type, None if it is null or missing. Raises InvalidRequest otherwise.

    `name` may be a path of two names (`text.format`), of which the first is known to be an object. A boolean
    is no number.
    """
    value: Any = body
    for key in name.split("."):
        value = value.get(key)
        if value is None:
            return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong_type(name, expected, value)
    return value


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
