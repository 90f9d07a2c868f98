"""How one simulator behaves as long as no fault says otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

CLIENT_ID = "f0304373b74a44d2b584a3fb70ca9e56"
DEFAULT_API_KEY = "simulator-api-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Settings of a simulator; every field has a default that suits tests.

    `port` 0 lets the system choose a free one. `clock` gives the time in seconds since the epoch; a test may
    hand in its own.
    """

    host: str = "127.0.0.1"
    port: int = 0
    api_keys: tuple[str, ...] = (DEFAULT_API_KEY,)
    access_token_lifetime_seconds: float = 21_600.0
    device_code_lifetime_seconds: float = 900.0
    device_poll_interval_seconds: float = 0.0
    chunk_delay_ms: float = 0.0
    models: tuple[str, ...] = ("qwen3-coder-plus", "qwen3.7-plus", "text-embedding-v4")
    clock: Callable[[], float] = time.time
