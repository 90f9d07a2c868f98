"""One isolate as its accounts see it: its own memory and background, a KV and a Qwen that others share."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.source import CredentialSource
from qwen_worker.credentials.state import CredentialState
from qwen_worker.errors import ProxyError
from qwen_worker.log import Log
from qwen_worker.platform.ports import KeyValueStore, Runtime
from tests.support.background import TaskBackground
from tests.support.clock import VirtualClock
from tests.support.float32 import pack_floats
from tests.support.token_endpoint import TokenEndpoint, login_json


def no_pipe() -> Any:
    """Plays what opens a pipe: credentials stream nothing."""
    raise AssertionError("credentials open no pipe")


class Isolate:
    """An isolate with the variables `env`; one login that is valid for hours if there are none."""

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        endpoint: TokenEndpoint | None = None,
        kv: KeyValueStore | None = None,
        seed: int = 1,
        rng: random.Random | None = None,
        log_level: str = "debug",
    ) -> None:
        self.endpoint = endpoint or TokenEndpoint()
        self.lines: list[dict[str, Any]] = []
        self.background = TaskBackground()
        chance = (rng or random.Random(seed)).random
        self.runtime = Runtime(
            VirtualClock(), self.endpoint, kv, self.background, chance, no_pipe, no_pipe, pack_floats
        )
        self.log = Log(self._take_line, log_level, "request-1")
        self._state = CredentialState()
        self.configure(env if env is not None else {"QWEN_CLI_AUTH": login_json()})

    def configure(self, env: Mapping[str, str]) -> None:
        """What the app does when the isolate's environment changes."""
        self.pool = AccountPool(Settings.from_env(dict(env)), self._state)

    @property
    def account(self) -> CredentialSource:
        """The credentials of the first account; most tests have no other."""
        return self.pool.accounts[0].source

    def _take_line(self, level: str, line: str) -> None:
        self.lines.append(json.loads(line))

    def events(self, level: str) -> list[str]:
        return [line["event"] for line in self.lines if line["level"] == level]

    async def acquire(self) -> Credential:
        return await self.account.acquire(self.runtime, self.log)

    async def replace(self, refused: Credential) -> Credential:
        return await self.account.replace(refused, self.runtime, self.log)

    async def cron(self) -> None:
        await self.pool.keep_fresh(self.runtime, self.log)

    async def describe(self) -> dict[str, Any]:
        return await self.account.describe(self.runtime)

    async def error(self) -> ProxyError:
        """The error that a request gets."""
        try:
            credential = await self.acquire()
        except ProxyError as error:
            return error
        raise AssertionError(f"expected an error, got {credential!r}")
