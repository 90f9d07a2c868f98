"""A client's key as it is configured, as an immutable value."""

import re
from functools import lru_cache
from typing import NamedTuple


class ClientKey(NamedTuple):
    """A key, whose it is and what it may do. Members that are None limit nothing."""

    key: str
    name: str = ""
    """The label that the operator gave it; empty: none."""
    models: tuple[str, ...] = ()
    """Patterns of the only models that it may use, `*` for any characters; empty: all."""
    tokens_per_day: int | None = None
    """How many tokens all keys of this label may use in a day (UTC)."""
    requests_per_minute: int | None = None
    expires_ms: int | None = None
    """When it stops working, in milliseconds since the Unix epoch."""

    def __repr__(self) -> str:
        return f"ClientKey({self.label})"

    @property
    def label(self) -> str:
        """What logs, /health and usage call it."""
        return self.name or _label_of(self.key)

    def may_use(self, *names: str) -> bool:
        """Whether it may use a model, known by any of these names."""
        return not self.models or any(_matches(self.models, name) for name in names)


@lru_cache(maxsize=256)
def _label_of(key: str) -> str:
    from qwen_worker.fingerprint import fingerprint

    return f"key-{fingerprint(key)[:4]}"


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name, re.DOTALL) is not None
        for pattern in patterns
    )


ANYONE = ClientKey("", "anyone")
"""Who calls a gateway without client keys."""

ADMIN = ClientKey("", "admin")
"""Who calls with ADMIN_KEY."""
