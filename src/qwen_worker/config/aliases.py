"""MODEL_ALIASES and OPENAI_MODEL: other names for models.

They are written `alias=model` or `alias: model`, as a list or as a JSON object. In OPENAI_MODEL the default
model may come first.
"""

from typing import NamedTuple

from qwen_worker.config.pasted_json import read_json
from qwen_worker.config.pasted_list import split_list

_EXPECTED = {
    "MODEL_ALIASES": "alias=model entries separated by commas",
    "OPENAI_MODEL": "a model name, optionally followed by alias=model entries",
}


class ModelNames(NamedTuple):
    """What one of the variables says, what was mended to read it, and what was expected if it is broken."""

    model: str | None
    aliases: dict[str, str]
    mended: list[str]
    problem: str


def read_aliases(name: str, text: str) -> ModelNames:
    """The names in the value of the variable `name`, which may be empty. What is broken is left out."""
    expected = _EXPECTED[name]
    if text.startswith("{"):
        return _from_object(text, expected)
    if not text:
        return ModelNames(None, {}, [], "")
    entries, mended = split_list(name, text) or ([], [])
    model: str | None = None
    aliases: dict[str, str] = {}
    is_broken = not entries
    for entry in entries:
        # A model's own name may hold a colon, as in `qwen3:8b`.
        is_pair = ": " in entry or name == "MODEL_ALIASES" or model is not None
        separator = "=" if "=" in entry or not is_pair else ":"
        first, separator, second = (part.strip() for part in entry.partition(separator))
        if separator and first and second:
            aliases[first] = second
        elif not separator and model is None and name == "OPENAI_MODEL":
            model = first
        else:
            is_broken = True
    return ModelNames(model, aliases, mended, expected if is_broken else "")


def _from_object(text: str, expected: str) -> ModelNames:
    try:
        value, mended = read_json(text)
    except ValueError:
        value, mended = None, []
    if not isinstance(value, dict):
        return ModelNames(None, {}, [], expected)
    aliases = {
        alias.strip(): model.strip()
        for alias, model in value.items()
        if alias.strip() and isinstance(model, str) and model.strip()
    }
    return ModelNames(None, aliases, mended, "" if len(aliases) == len(value) else expected)
