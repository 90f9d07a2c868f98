"""The model catalogue of /v1/models, which model a request is for, and what is known of Qwen's models."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from qwen_worker.errors import NotFound

if TYPE_CHECKING:
    from typing import TypedDict

    class Model(TypedDict):
        """A model as OpenAI's API lists it. `created` is in seconds since the Unix epoch."""

        id: str
        object: str
        created: int
        owned_by: str


DEFAULT_MODEL = "qwen3-coder-plus"
DEFAULT_VISION_MODEL = "qwen3-vl-plus"

_PORTAL_MODELS = ("coder-model", "vision-model")
"""Names that only the OAuth portal knows: aliases of its current models."""

# --- the catalogue


def catalogue(models: Sequence[str], aliases: Mapping[str, str]) -> "list[Model]":
    """The configured models, then the aliases, which clients that check the list must find there too."""
    return [_listed(name) for name in dict.fromkeys((*models, *aliases))]


def find_model(name: str, models: Sequence[str], aliases: Mapping[str, str]) -> "Model":
    """The entry of the catalogue. Raises NotFound (model_not_found)."""
    if name not in models and name not in aliases:
        raise model_not_found()
    return _listed(name)


def model_not_found() -> NotFound:
    """The error for a model that is not in the catalogue, or not in the client's."""
    return NotFound(
        "The model does not exist here. GET /v1/models lists the models.",
        code="model_not_found",
        param="model",
    )


def _listed(name: str) -> "Model":
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "qwen"}


# --- which model a request is for


def resolve_model(name: str | None, *, default: str, aliases: Mapping[str, str], is_oauth: bool) -> str:
    """The model to ask Qwen for: the named one, unless the name is an alias; the default if none is named.

    The portal's `coder-model` and `vision-model` mean nothing to an API key: they become the default model
    and a vision model.
    """
    model = followed(name or default, aliases)
    if is_oauth or model not in _PORTAL_MODELS:
        return model
    if model == "vision-model":
        return DEFAULT_VISION_MODEL
    default = followed(default, aliases)
    return DEFAULT_MODEL if default in _PORTAL_MODELS else default


def followed(name: str, aliases: Mapping[str, str]) -> str:
    """The end of a chain of aliases; of a circle, the name itself."""
    model = name
    for _ in aliases:
        if model not in aliases:
            break
        model = aliases[model]
    return name if model in aliases else model


# --- what is known of a model


class ModelFacts(NamedTuple):
    """What is known of a model. None: not known."""

    input_tokens: int | None = None
    """The longest input."""
    output_tokens: int | None = None
    """The longest answer, which is the largest `max_tokens` that the model takes."""
    thinking: Literal["never", "on request", "by default", "always"] | None = None
    """`on request` and `by default`: `enable_thinking` says otherwise."""
    thinks_in_streams_only: bool = False
    """Whether an answer that is no stream is refused while the model thinks."""
    takes_effort: bool = False
    """Whether the model takes OpenAI's `reasoning_effort` as it is."""
    high_effort_budget: int | None = None
    """The `thinking_budget` of a high effort, where the model does not think without one; in tokens."""
    sees_images: bool | None = None
    thinking_tokens: int | None = None
    """The largest budget for thinking."""


UNKNOWN_MODEL = ModelFacts()


@lru_cache(maxsize=128)
def facts_of(model: str) -> ModelFacts:
    """What is known of a model by its name, with or without an organisation (`Qwen/`), a date or a version
    (`-2026-01-23`, `-2507`, `-latest`).
    """
    name = re.sub(r"(-\d{4}(-\d\d-\d\d)?|-latest)$", "", model.lower().rpartition("/")[2])
    return next((facts for pattern, facts in _KNOWN if re.fullmatch(pattern, name)), UNKNOWN_MODEL)


_KNOWN: tuple[tuple[str, ModelFacts], ...] = (
    (r"qwen3\.8-(max|flash)", ModelFacts(991_808, 131_072, "by default", takes_effort=True)),
    (r"qwen3\.8-27b", ModelFacts(1_000_000, None, "by default", takes_effort=True)),
    (r"qwen3\.8.*", ModelFacts(thinking="by default", takes_effort=True)),
    (r"qwen3\.7-max", ModelFacts(991_808, 65_536, "by default")),
    (r"qwen3\.[5-7]-plus", ModelFacts(991_808, 65_536, "by default", sees_images=True)),
    (r"qwen3\.[56]-flash", ModelFacts(None, 65_536, "by default")),
    (r"qwen3\.5-\d+b.*", ModelFacts(thinking="by default", high_effort_budget=32_768)),
    (r"qwen3\.[5-9].*", ModelFacts(thinking="by default")),
    (r"qwen3-coder-(plus|flash)", ModelFacts(997_952, 65_536, "never", sees_images=False)),
    (r"qwen3-coder-next", ModelFacts(262_144, 65_536, "never", sees_images=False)),
    (r"qwen3-coder-.*", ModelFacts(thinking="never", sees_images=False)),
    (r"qwen3-max", ModelFacts(258_048, 65_536, "on request", sees_images=False)),
    (r"qwen3-vl-plus", ModelFacts(262_144, 32_768, "on request", sees_images=True)),
    (r"coder-model", ModelFacts(1_000_000, 65_536, "on request", sees_images=True)),
    (r"vision-model", ModelFacts(sees_images=True)),
    (r"(qvq|qwen3-vl-.*-thinking).*", ModelFacts(thinking="always", sees_images=True)),
    (r"qwq.*|qwen3-.*-thinking", ModelFacts(thinking="always")),
    (r"qwen3-vl-.*-instruct", ModelFacts(thinking="never", sees_images=True)),
    (r"qwen3-.*-instruct", ModelFacts(thinking="never")),
    (r"qwen3-vl-flash", ModelFacts(thinking="on request", sees_images=True)),
    (r"qwen3-[\d.]+b(-a\d+b)?", ModelFacts(thinking="by default", thinks_in_streams_only=True)),
    (r"qwen-(plus|flash|turbo)", ModelFacts(thinking="on request", sees_images=False)),
)
"""The first pattern that a name matches. Limits: LiteLLM 1.110.2's price map, qwen-code 0.24.4's presets,
openfang pull request 849 (qwen3-coder-next). Effort: qwen-code pull request 8472 (qwen3.8). Budget:
Qwen-Agent issue 941 (qwen3.5-27b). The open-weight Qwen3 models: new-api pull request 1109.
"""
