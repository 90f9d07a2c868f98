"""A small world for the credentials: a token endpoint, KV, isolates; all of it in virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.source import CredentialSource
from qwen_worker.credentials.state import CredentialState
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import ProxyError
from qwen_worker.log import Log
from qwen_worker.platform.ports import FetchTimeout, InboundResponse, OutboundRequest, Runtime, StoreError
from tests.simulation.virtual_time import EPOCH_MS, VirtualClock

HOUR = 3600


def no_pipe() -> Any:
    """Plays `Runtime.open_pipe`: credentials stream nothing."""
    raise AssertionError("credentials open no pipe")


LIFETIME_SECONDS = 6 * HOUR


@dataclass
class Answer:
    """An answer of the token endpoint."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    async def text(self, limit_bytes: int = 65_536) -> str:
        return self.body[:limit_bytes]

    def stream(self) -> Any:
        raise AssertionError("the token endpoint's answer is not passed on")

    def reader(self) -> Any:
        raise AssertionError("the token endpoint's answer is not passed on")

    def cancel(self) -> None:
        pass


REFUSED = Answer(400, '{"error":"invalid_request","error_description":"Invalid refresh token or client_id"}')

Fault = Answer | Exception | str
"""An answer, an error, or "hang": never an answer."""


class TokenEndpoint:
    """Plays the Fetcher port: a token endpoint whose refresh tokens work once.

    `faults` are used up one a request. The token after `refresh-0` is `refresh-1` and so on.
    """

    def __init__(self, *, live: str = "refresh-0") -> None:
        self.live: str | None = live
        self.delay_seconds = 0.3
        self.lifetime_seconds: float | None = LIFETIME_SECONDS
        self.extra: dict[str, Any] = {}
        self.rotates = True
        self.faults: list[Fault] = []
        self.spent: list[str] = []
        self.refused = 0
        self.requests: list[OutboundRequest] = []

    async def fetch(
        self, request: OutboundRequest, *, timeout_ms: int, is_stream: bool = False
    ) -> InboundResponse:
        self.requests.append(request)
        if self.faults:
            return await self._play(self.faults.pop(0), timeout_ms / 1000)
        await asyncio.sleep(self.delay_seconds)
        sent = parse_qs((request.body or b"").decode())["refresh_token"][0]
        if sent != self.live:
            self.refused += 1
            return REFUSED
        return self._rotate(sent)

    async def _play(self, fault: Fault, timeout_seconds: float) -> Answer:
        if fault == "hang":
            await asyncio.get_running_loop().create_future()
        if fault == "time out":
            await asyncio.sleep(timeout_seconds)
            raise FetchTimeout
        await asyncio.sleep(self.delay_seconds)
        if isinstance(fault, Exception):
            raise fault
        assert isinstance(fault, Answer)
        return fault

    def _rotate(self, sent: str) -> Answer:
        self.spent.append(sent)
        if not self.rotates:
            return Answer(
                200, json.dumps({"access_token": f"access-{len(self.spent)}", "expires_in": 6 * HOUR})
            )
        stem, _, number = sent.rpartition("-")
        generation = int(number) + 1
        self.live = f"{stem}-{generation}"
        answer: dict[str, Any] = {
            "status": "success",
            "access_token": f"access-{stem}-{generation}",
            "token_type": "Bearer",
            "refresh_token": self.live,
            "resource_url": "portal.qwen.ai",
        }
        if self.lifetime_seconds is not None:
            answer["expires_in"] = self.lifetime_seconds
        return Answer(200, json.dumps({**answer, **self.extra}))


class FakeKV:
    """Plays the KeyValueStore port; `fail_reads` and `fail_writes` count down, "always" never ends."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})
        self.reads: Counter[str] = Counter()
        self.writes: list[tuple[int, str, str]] = []
        self.fail_reads: float = 0
        self.fail_writes: float = 0
        self.fail_keys: set[str] = set()
        """Keys that cannot be read."""
        self.hide: set[str] = set()
        """Keys whose current value cannot be seen here yet; they read as missing."""
        self.shown: dict[str, str] = {}
        """Stale values that reads return instead of the current ones."""
        self.hang_writes = False

    async def get(self, key: str) -> str | None:
        self.reads[key] += 1
        await asyncio.sleep(0.01)
        if self.fail_reads > 0 or key in self.fail_keys:
            self.fail_reads -= 1
            raise StoreError("Error")
        if key in self.shown:
            return self.shown[key]
        return None if key in self.hide else self.values.get(key)

    async def put(self, key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        await asyncio.sleep(0.05)
        if self.hang_writes:
            await asyncio.get_running_loop().create_future()
        if self.fail_writes > 0:
            self.fail_writes -= 1
            raise StoreError("Error")
        self.values[key] = value
        self.writes.append((VirtualClock().now_ms(), key, value))

    @property
    def record(self) -> dict[str, Any]:
        """The login as KV holds it."""
        value: dict[str, Any] = json.loads(self.values[RECORD_KEY])
        return value

    @property
    def record_reads(self) -> int:
        return self.reads[RECORD_KEY]

    @property
    def record_writes(self) -> list[dict[str, Any]]:
        return [json.loads(value) for _, key, value in self.writes if key == RECORD_KEY]


class TaskBackground:
    """Plays the Background port: tasks that outlive the request."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.spawned = 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.spawned += 1
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def drain(self) -> None:
        """Waits for everything in the background, and shows its errors."""
        while self.tasks:
            await asyncio.gather(*self.tasks)


def login_json(
    *,
    access: str = "access-refresh-0",
    refresh: str | None = "refresh-0",
    expires_in_seconds: float | None = LIFETIME_SECONDS,
    **extra: Any,
) -> str:
    """What `oauth_creds.json` holds. The expiry counts from the loop's time 0."""
    login: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "resource_url": "portal.qwen.ai"}
    if refresh is not None:
        login["refresh_token"] = refresh
    if expires_in_seconds is not None:
        login["expiry_date"] = EPOCH_MS + int(expires_in_seconds * 1000)
    return json.dumps({**login, **extra})


class Isolate:
    """One isolate with its own memory; it shares endpoint and KV with others."""

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        endpoint: TokenEndpoint | None = None,
        kv: FakeKV | None = None,
        seed: int = 1,
    ) -> None:
        self.endpoint = endpoint or TokenEndpoint()
        self.kv = kv
        self.lines: list[dict[str, Any]] = []
        self.background = TaskBackground()
        self.state = CredentialState()
        self._random = random.Random(seed)
        self.configure(env if env is not None else {"QWEN_CLI_AUTH": login_json()})

    def configure(self, env: Mapping[str, str]) -> None:
        """What the app does when the isolate's environment changes."""
        self.pool = AccountPool(Settings.from_env(dict(env)), self.state)

    @property
    def account(self) -> CredentialSource:
        """The credentials of the first account; most tests have no other."""
        return self.pool.accounts[0].source

    @property
    def runtime(self) -> Runtime:
        return Runtime(VirtualClock(), self.endpoint, self.kv, self.background, self._random.random, no_pipe)

    @property
    def log(self) -> Log:
        return Log(self._take_line, "debug", "request-1")

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
