"""How one simulator behaves as long as no fault says otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

CLIENT_ID = "f0304373b74a44d2b584a3fb70ca9e56"
DEFAULT_API_KEY = "simulator-api-key"

PortalRules = Literal["oauth", "always", "never"]
DeadTokenStyle = Literal[
    "invalid_request_400", "invalid_request_401", "invalid_grant_400", "invalid_grant_401"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Settings of a simulator; every field has a default that suits tests.

    `port` 0 lets the system choose a free one. `portal_rules` says whose requests must satisfy the OAuth
    portal's demands (see `portal_rules.py`); `require_dashscope_headers` is one of those demands and can be
    waived alone. `closed_tier` plays the state since 2026-04-15: a refresh succeeds and the API then
    answers 401. `clock` gives the time in seconds since the epoch; tests may hand in a virtual one.
    """

    host: str = "127.0.0.1"
    port: int = 0

    api_keys: tuple[str, ...] = (DEFAULT_API_KEY,)
    accept_any_credentials: bool = False
    portal_rules: PortalRules = "oauth"
    require_dashscope_headers: bool = True
    require_user_agent: bool = True
    closed_tier: bool = False

    resource_url: str | None = None
    access_token_lifetime_seconds: float = 21_600.0
    revoke_previous_access_token: bool = False
    dead_token_style: DeadTokenStyle = "invalid_request_400"
    token_answer_delay_ms: float = 0.0
    device_code_lifetime_seconds: float = 900.0
    device_poll_interval_seconds: float = 0.0

    chunk_delay_ms: float = 0.0
    record_bodies: bool = True
    recorded_requests: int = 20_000

    clock: Callable[[], float] = time.time
