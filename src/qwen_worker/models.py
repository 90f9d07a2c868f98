"""The model catalogue of /v1/models, which model a request is for, and what is known of Qwen's models."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from qwen_worker.errors import NotFound

DEFAULT_MODEL = "qwen3-coder-plus"
ALWAYS_LISTED = ("qwen3-coder-plus", "qwen3-coder-flash")
"""What the catalogue has whatever the hosts say."""
DEFAULT_VISION_MODEL = "qwen3-vl-plus"

DEFAULT_EMBEDDING_MODEL = "text-embedding-v4"

BUILT_IN_ALIASES = {
    "text-embedding-3-small": DEFAULT_EMBEDDING_MODEL,
    "text-embedding-3-large": DEFAULT_EMBEDDING_MODEL,
    "text-embedding-ada-002": DEFAULT_EMBEDDING_MODEL,
}
"""OpenAI's names that tools have built in, and that no host of Qwen's knows."""

LONG_CONTEXT = "[1m]"
"""What Claude Code's users add to a name for a window of a million tokens."""

_PORTAL_MODELS = ("coder-model", "vision-model")
"""Names that only the OAuth portal knows: aliases of its current models."""

# --- the catalogue


Model = dict[str, Any]
"""A model as OpenAI's API lists it: `id`, `object`, `created` (in seconds since the Unix epoch), `owned_by`,
and beside them `context_window` and `max_output_tokens` (in tokens) where they are known.
"""


def catalogue(models: Iterable[str | Model], aliases: Mapping[str, str]) -> list[Model]:
    """The models, by name or as their host tells of them, then the aliases, which clients that check the list
    must find there too: those that are configured, and the built-in ones of listed models. What a host tells
    counts more than a mere name, and the first that tells.
    """
    found: dict[str, Model] = {}
    told: set[str] = set()
    for model in models:
        if isinstance(model, str):
            found.setdefault(model, _listed(model))
        elif model["id"] not in told:
            told.add(model["id"])
            found[model["id"]] = _listed(model["id"], model)
    for alias, model in aliases.items():
        if "*" not in alias:
            found.setdefault(alias, _listed(alias, known_as=model))
    for alias, model in BUILT_IN_ALIASES.items():
        if model in found:
            found.setdefault(alias, _listed(alias, known_as=model))
    return [*found.values()]


def find_model(name: str, listed: Iterable[Model], aliases: Mapping[str, str]) -> Model:
    """The entry of the catalogue, which need not list an alias with a `*`. Raises NotFound
    (model_not_found).
    """
    found = next((model for model in listed if model["id"] == name), None)
    if found is not None:
        return found
    target = alias_target(name.removesuffix(LONG_CONTEXT), aliases)
    if target is None:
        raise model_not_found()
    return _listed(name, known_as=target)


def model_not_found() -> NotFound:
    """The error for a model that is not in the catalogue, or not in the client's."""
    return NotFound(
        "The model does not exist here. GET /v1/models lists the models.",
        code="model_not_found",
        param="model",
    )


def _listed(name: str, told: Mapping[str, Any] | None = None, *, known_as: str | None = None) -> Model:
    entry = {"created": _CREATED, "owned_by": "qwen", **(told or {}), "id": name, "object": "model"}
    if not isinstance(entry["created"], int):
        entry["created"] = _CREATED
    facts = facts_of(known_as or name)
    if facts.input_tokens is not None:
        entry.setdefault("context_window", facts.input_tokens)
    if facts.output_tokens is not None:
        entry.setdefault("max_output_tokens", facts.output_tokens)
    return {"id": entry.pop("id"), "object": entry.pop("object"), **entry}


_CREATED = 1_700_000_000


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
    """Follows a chain of aliases to its end. In a circle it returns the name itself."""
    model = name.removesuffix(LONG_CONTEXT) if name not in aliases else name
    for _ in range(len(aliases) + len(BUILT_IN_ALIASES) + 1):
        target = alias_target(model, aliases)
        if target is None or target == model:
            return model
        model = target
    return name


def alias_target(name: str, aliases: Mapping[str, str]) -> str | None:
    """The model that an alias stands for; None if the name is no alias.

    An alias with a `*` stands for every name that begins and ends as it does. An exact alias counts above
    all, then the longest.
    """
    found = aliases.get(name) or BUILT_IN_ALIASES.get(name)
    if found is not None:
        return found
    pattern = max((alias for alias in aliases if _matches(name, alias)), key=len, default=None)
    return None if pattern is None else aliases[pattern]


def _matches(name: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    return bool(star) and len(name) >= len(start) + len(end) and name.startswith(start) and name.endswith(end)


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
    (r"qwen3\.7-plus", ModelFacts(991_808, 65_536, "by default", thinking_tokens=262_144)),
    (r"qwen3\.[56]-plus", ModelFacts(991_808, 65_536, "by default", thinking_tokens=81_920)),
    (r"qwen3\.[56]-flash", ModelFacts(None, 65_536, "by default", thinking_tokens=81_920)),
    (
        r"qwen3\.5-\d+b.*",
        ModelFacts(thinking="by default", high_effort_budget=32_768, thinking_tokens=81_920),
    ),
    (r"qwen3\.[56].*", ModelFacts(thinking="by default", thinking_tokens=81_920)),
    (r"qwen3\.[5-9].*", ModelFacts(thinking="by default")),
    (r"qwen3-coder-(plus|flash)", ModelFacts(997_952, 65_536, "never")),
    (r"qwen3-coder-next", ModelFacts(262_144, 65_536, "never")),
    (r"qwen3-coder-.*", ModelFacts(thinking="never")),
    (r"qwen3-max", ModelFacts(258_048, 65_536, "on request")),
    (r"qwen3-vl-plus", ModelFacts(262_144, 32_768, "on request")),
    (r"text-embedding-v[34]", ModelFacts(8_192)),
    (r"coder-model", ModelFacts(1_000_000, 65_536, "on request")),
    (r"(qwq|qvq|qwen3-.*-thinking).*", ModelFacts(thinking="always")),
    (r"qwen3-.*-instruct", ModelFacts(thinking="never")),
    (r"qwen3-vl-flash", ModelFacts(thinking="on request")),
    (r"qwen3-[\d.]+b(-a\d+b)?", ModelFacts(thinking="by default", thinks_in_streams_only=True)),
    (r"qwen-(plus|flash|turbo)", ModelFacts(thinking="on request")),
)
"""The first pattern that a name matches. Limits: LiteLLM 1.110.2's price map, qwen-code 0.24.4's presets,
openfang pull request 849 (qwen3-coder-next). Effort: qwen-code pull request 8472 (qwen3.8). Budget:
Qwen-Agent issue 941 (qwen3.5-27b). Longest budgets: docs.qwencloud.com/api-reference/chat/anthropic. The
open-weight Qwen3 models: new-api pull request 1109.
"""
