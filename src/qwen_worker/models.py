"""The model catalogue of /v1/models, and which model a request is for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qwen_worker.config.settings import DEFAULT_MODEL, Settings
from qwen_worker.errors import NotFound

DEFAULT_VISION_MODEL = "qwen3-vl-plus"

if TYPE_CHECKING:
    from typing import TypedDict

    class Model(TypedDict):
        """A model as OpenAI's API lists it. `created` is in seconds since the Unix epoch."""

        id: str
        object: str
        created: int
        owned_by: str


_PORTAL_MODELS = ("coder-model", "vision-model")
"""Names that only the OAuth portal knows: aliases of its current models."""


def catalogue(settings: Settings) -> "list[Model]":
    """The configured models, then the aliases, which clients that check the list must find there too."""
    return [_model(name) for name in dict.fromkeys((*settings.models, *settings.model_aliases))]


def find_model(settings: Settings, name: str) -> "Model":
    """The entry of the catalogue. Raises NotFound (model_not_found)."""
    if name not in settings.models and name not in settings.model_aliases:
        raise NotFound(
            "The model does not exist here. GET /v1/models lists the models.",
            code="model_not_found",
            param="model",
        )
    return _model(name)


def resolve_model(name: str | None, *, default: str, aliases: Mapping[str, str], is_oauth: bool) -> str:
    """The model to ask Qwen for: the named one, unless the name is an alias; the default if none is named.

    The portal's `coder-model` and `vision-model` mean nothing to an API key: they become the default model
    and a vision model.
    """
    model = _follow(name or default, aliases)
    if is_oauth or model not in _PORTAL_MODELS:
        return model
    if model == "vision-model":
        return DEFAULT_VISION_MODEL
    default = _follow(default, aliases)
    return DEFAULT_MODEL if default in _PORTAL_MODELS else default


def _follow(name: str, aliases: Mapping[str, str]) -> str:
    """The end of a chain of aliases; of a circle, the name itself."""
    model = name
    for _ in aliases:
        if model not in aliases:
            break
        model = aliases[model]
    return name if model in aliases else model


def _model(name: str) -> "Model":
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "qwen"}
