"""Fields of the request that must be of some type; `param` is a path (`input[2].content[0].text`)."""

from typing import Any

from qwen_worker.errors import InvalidRequest
from qwen_worker.validation import missing, wrong_type


def unfit(param: str, expected: str, value: Any) -> InvalidRequest:
    """The error for a field that must be there and be `expected` ("a string"), but is `value`."""
    return missing(param) if value is None else wrong_type(param, expected, value)


def text_in(owner: dict[str, Any], name: str, where: str) -> str:
    """The string `owner[name]`; `where` is the owner's path. Raises InvalidRequest."""
    value = owner.get(name)
    if not isinstance(value, str):
        raise unfit(f"{where}.{name}", "a string", value)
    return value
