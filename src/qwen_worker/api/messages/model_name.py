"""Which model a Messages request is for."""

from collections.abc import Mapping

_LONG_CONTEXT = "[1m]"
"""What Claude Code's users add to a name for a window of a million tokens."""


def model_for(name: str | None, *, aliases: Mapping[str, str], default: str) -> str:
    """The model to ask for, before aliases are followed: an alias, any other name, or the default.

    Claude Code asks for several `claude-*` models, some in the background: those without an alias are the
    default model. No name is the default too.
    """
    named = (name or "").strip()
    if named in aliases:
        return named
    named = named.removesuffix(_LONG_CONTEXT).strip()
    if named in aliases:
        return named
    return default if not named or named.lower().startswith("claude-") else named
