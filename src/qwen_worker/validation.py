"""Checks of what clients send, for every API.

Every failure is an `InvalidRequest` whose `param` names the field in OpenAI's way (`messages[2].role`) and
whose message never quotes the request. An explicit null counts as absent: callers do not check it.
"""

from collections.abc import Callable
from typing import Any

from qwen_worker.errors import InvalidRequest
from qwen_worker.json_text import BYTE_ORDER_MARK, JsonTextError, parse

Check = Callable[[str, Any], None]
"""Checks a field, given its name and its value, which is not null. Raises InvalidRequest."""


def body_text(raw: bytes) -> tuple[bytes, str]:
    """A body without its byte order mark, and as text: decoded as Latin-1, see `json_scan`.

    Raises InvalidRequest (invalid_json) if it is empty or not UTF-8.
    """
    raw = raw.removeprefix(BYTE_ORDER_MARK)
    if not raw or raw.isspace():
        raise _empty_body()
    text = _decoded(raw)
    return raw, text if text.isascii() else raw.decode("latin-1")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The request body is not valid UTF-8: byte {error.start} cannot be decoded.",
            code="invalid_json",
        ) from None


def _empty_body() -> InvalidRequest:
    return InvalidRequest("The request body is empty; it must be a JSON object.", code="invalid_json")


def json_body(raw: bytes) -> dict[str, Any]:
    """A body as an object. Raises InvalidRequest (invalid_json, invalid_type)."""
    text = _decoded(raw.removeprefix(BYTE_ORDER_MARK))
    if not text or text.isspace():
        raise _empty_body()
    try:
        body = parse(text)
    except JsonTextError as error:
        raise invalid_json(error) from None
    if not isinstance(body, dict):
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_type")
    return body


def invalid_json(reason: JsonTextError) -> InvalidRequest:
    """The body is not JSON."""
    return InvalidRequest(f"The request body is not valid JSON: {reason}.", code="invalid_json")


# --- fields


def number(minimum: float, maximum: float) -> Check:
    """A check for a number within the limits."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(name, "a number", value)
        if not minimum <= value <= maximum:
            raise InvalidRequest(
                f"Invalid value for '{name}': expected a number from {minimum:g} to {maximum:g}.", param=name
            )

    return check


def integer(minimum: int, maximum: int | None = None) -> Check:
    """A check for an integer within the limits."""
    limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(name, "an integer", value)
        if value < minimum or (maximum is not None and value > maximum):
            raise InvalidRequest(f"Invalid value for '{name}': expected an integer {limits}.", param=name)

    return check


def boolean(name: str, value: Any) -> None:
    """A Check."""
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)


def string(name: str, value: Any) -> None:
    """A Check."""
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)


def texts(most: int, advice: str = "Have your client send texts.") -> Check:
    """A check for a text, or for an array of at most `most` texts. `advice` is for clients that send
    tokens.
    """

    def refuse(name: str, problem: str, code: str) -> InvalidRequest:
        return InvalidRequest(f"Invalid '{name}': {problem}", param=name, code=code)

    def check(name: str, value: Any) -> None:
        if isinstance(value, str):
            return
        if not isinstance(value, list):
            raise wrong_type(name, "a string or an array of strings", value)
        if not value:
            raise refuse(name, "empty array. Expected at least one text.", "empty_array")
        if isinstance(value[0], int | list):
            raise refuse(name, f"it holds tokens, and Qwen takes texts only. {advice}", "invalid_type")
        if len(value) > most:
            problem = f"{len(value):,} texts. Expected at most {most:,}."
            raise refuse(name, problem, "array_above_max_length")
        if set(map(type, value)) != {str}:
            for index, text in enumerate(value):
                string(f"{name}[{index}]", text)

    return check


def json_object(name: str, value: Any) -> None:
    """A Check."""
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)


def json_objects(name: str, value: Any) -> None:
    """A Check for an array of objects."""
    if not isinstance(value, list):
        raise wrong_type(name, "an array of objects", value)
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise wrong_type(f"{name}[{index}]", "an object", item)


def missing(param: str) -> InvalidRequest:
    """A field that must be there is not."""
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, expected: str, value: Any) -> InvalidRequest:
    """A field has a value of another type than `expected` ("a string")."""
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {_type_name(value)} instead.",
        param=param,
        code="invalid_type",
    )


def text_in(owner: dict[str, Any], name: str, where: str) -> str:
    """The string `owner[name]`; `where` is the owner's path. Raises InvalidRequest."""
    value = owner.get(name)
    if not isinstance(value, str):
        raise unfit(f"{where}.{name}", "a string", value)
    return value


def unfit(param: str, expected: str, value: Any) -> InvalidRequest:
    """A field that must be there and be `expected` ("a string") is missing, or has another type."""
    return missing(param) if value is None else wrong_type(param, expected, value)


def model_name(name: str) -> str | None:
    """The model that a client names. An empty name, which tools send when nothing is set, names none."""
    if len(name) > _LONGEST_MODEL_NAME or not (name.isprintable() or name.isspace()):
        raise InvalidRequest(
            f"Invalid value for 'model': expected at most {_LONGEST_MODEL_NAME} printable characters.",
            param="model",
        )
    return name if name.strip() else None


_LONGEST_MODEL_NAME = 256


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
