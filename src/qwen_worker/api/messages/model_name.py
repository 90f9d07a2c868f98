"""Which model a Messages request is for."""

from collections.abc import Mapping

from qwen_worker.models import LONG_CONTEXT, alias_target


def model_for(name: str | None, *, aliases: Mapping[str, str], default: str) -> str:
    """The model to ask for, before aliases are followed: an alias, any other name, or the default.

    Claude Code asks for several `claude-*` models, some in the background: those without an alias are the
    default model. No name is the default too.
    """
    named = (name or "").strip()
    if named in aliases:
        return named
    named = named.removesuffix(LONG_CONTEXT).strip()
    if alias_target(named, aliases) is not None:
        return named
    return default if not named or named.lower().startswith("claude-") else named
