"""The token that an isolate calls Qwen with, and when it falls due for a refresh."""

from typing import Literal

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.credential import Credential
from qwen_worker.platform.ports import FOREVER_MS

Source = Literal["memory", "kv", "environment"]
"""Where the held token came from; "memory": this isolate has refreshed it itself."""

YOUTH = 0.15
"""A token is not refreshed in this first part of its life, however long the lead time is."""


class HeldToken:
    """The token in memory. Only its own methods write it. Times are in milliseconds since the epoch."""

    __slots__ = ("credential", "due_at_ms", "source", "token", "usable_until_ms")

    def __init__(self) -> None:
        self.token: OAuthToken | None = None
        self.credential: Credential | None = None
        """What requests get of the token; None if there is no token."""
        self.source: Source = "environment"
        self.usable_until_ms = 0
        self.due_at_ms = FOREVER_MS
        """From when on the token should be refreshed."""

    def hold(self, token: OAuthToken, source: Source, credential: Credential, due_at_ms: int) -> None:
        """Replaces the token by `token`."""
        self.token = token
        self.source = source
        self.credential = credential
        self.usable_until_ms = token.usable_until_ms
        self.due_at_ms = due_at_ms

    def call_with(self, credential: Credential) -> None:
        """Changes the base URL of the same token, after a change of the settings."""
        self.credential = credential


def due_ms(token: OAuthToken, lead_ms: int) -> int:
    """When to refresh a token: `lead_ms` before its expiry, but not in the first part of its life."""
    if token.expiry_date_ms is None or token.refresh_token is None:
        return FOREVER_MS
    at_ms = token.expiry_date_ms - lead_ms
    if token.refreshed_at_ms is None:
        return at_ms
    lifetime_ms = token.expiry_date_ms - token.refreshed_at_ms
    return max(at_ms, token.refreshed_at_ms + int(lifetime_ms * YOUTH))
