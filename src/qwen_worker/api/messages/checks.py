"""What a field of a Messages request must be, and the 400 that names it.

A field is named by its path in Anthropic's way (`messages.0.content.1.type`). The message names it too, since
Anthropic's error body has no place of its own for it. Nothing of the request is quoted.
"""

from collections.abc import Collection
from typing import Any

from qwen_worker.errors import InvalidRequest


def missing(path: str) -> InvalidRequest:
    """The error for a field that must be there."""
    return InvalidRequest(f"{path}: Field required", param=path, code="missing_required_parameter")


def wrong_type(path: str, expected: str) -> InvalidRequest:
    """The error for a value of another type than `expected` ("a string")."""
    return InvalidRequest(f"{path}: Input should be {expected}", param=path, code="invalid_type")


def invalid(path: str, explanation: str) -> InvalidRequest:
    """The error for a value that cannot be used."""
    return InvalidRequest(f"{path}: {explanation}", param=path)


def string(value: Any, path: str) -> str:
    """A string that must be there. Raises InvalidRequest."""
    if value is None:
        raise missing(path)
    if not isinstance(value, str):
        raise wrong_type(path, "a string")
    return value


def one_of(value: Any, path: str, expected: Collection[str]) -> str:
    """A string that must be one of `expected`. Raises InvalidRequest."""
    text = string(value, path)
    if text not in expected:
        raise invalid(path, f"Input should be {' or '.join(repr(name) for name in expected)}")
    return text


def mapping(value: Any, path: str) -> dict[str, Any]:
    """An object that must be there. Raises InvalidRequest."""
    if value is None:
        raise missing(path)
    if not isinstance(value, dict):
        raise wrong_type(path, "an object")
    return value


def objects(value: Any, path: str) -> list[dict[str, Any]]:
    """An array of objects that must be there. Raises InvalidRequest."""
    if value is None:
        raise missing(path)
    if not isinstance(value, list):
        raise wrong_type(path, "an array")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise wrong_type(f"{path}.{index}", "an object")
    return value


def integer(value: Any, path: str, minimum: int) -> int:
    """An integer of at least `minimum`. Raises InvalidRequest."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(path, "an integer")
    if value < minimum:
        raise invalid(path, f"Input should be greater than or equal to {minimum}")
    return value


def number(value: Any, path: str, minimum: float, maximum: float) -> float:
    """A number from `minimum` to `maximum`. Raises InvalidRequest."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(path, "a number")
    if not minimum <= value <= maximum:
        raise invalid(path, f"Input should be from {minimum:g} to {maximum:g}")
    return value
