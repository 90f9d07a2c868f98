"""The part of a login or a key that a call to Qwen needs, as an immutable value."""

from typing import Literal, NamedTuple


class Credential(NamedTuple):
    """What one call to Qwen needs: the bearer secret, and the base URL (no trailing slash) it belongs to."""

    kind: Literal["oauth", "api_key"]
    secret: str
    base_url: str

    def __repr__(self) -> str:
        return f"Credential(kind={self.kind!r}, base_url={self.base_url!r})"
