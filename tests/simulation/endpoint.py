"""Qwen as the simulation needs it: a token endpoint with single-use refresh tokens, and the API's check."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from qwen_worker.platform.ports import FetchError, FetchTimeout, InboundResponse, OutboundRequest

LIFETIME_SECONDS = 6 * 3600


@dataclass
class Answer:
    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    async def text(self, limit_bytes: int = 65_536) -> str:
        return self.body

    def stream(self) -> Any:
        raise AssertionError("not passed on")

    def reader(self) -> Any:
        raise AssertionError("not passed on")

    def cancel(self) -> None:
        pass


PASSING_ANSWERS = (
    Answer(429, '{"error":"slow_down"}', {"retry-after": "2"}),
    Answer(500, '{"error":"server_error"}'),
    Answer(504, "<html>504 Gateway Time-out</html>"),
    Answer(200, "<html>Please verify that you are human</html>"),
)


@dataclass
class Qwen:
    """Plays the Fetcher port for the token endpoint. Each login is a chain of refresh tokens that work once.

    A fault strikes before the token is spent: an answer that is lost after that takes the login with it, and
    no client can do anything about it.
    """

    rng: random.Random
    fault_share: float
    hang_share: float
    revokes_previous: bool = False
    """Whether a refresh ends the access token before it."""
    down_until: float = 0.0
    live: dict[str, str] = field(default_factory=dict)
    """Live refresh token -> its login."""
    expiry: dict[str, float] = field(default_factory=dict)
    """Access token -> its expiry in the loop's time."""
    issued: list[tuple[str, str]] = field(default_factory=list)
    """Every pair of access and refresh token that a refresh has issued."""
    counts: Counter[str] = field(default_factory=Counter)
    _serial: int = 0
    _latest: dict[str, str] = field(default_factory=dict)

    def log_in(self, login: str, now: float) -> tuple[str, str]:
        """A new login, as the CLI makes it: access and refresh token."""
        return self._issue(login, now)

    def accepts(self, access_token: str, now: float) -> bool:
        """The API's check."""
        return now < self.expiry.get(access_token, 0.0)

    def revoke(self, access_token: str) -> None:
        """Ends an access token before its time."""
        self.expiry[access_token] = 0.0

    async def fetch(
        self, request: OutboundRequest, *, timeout_ms: int, is_stream: bool = False
    ) -> InboundResponse:
        loop = asyncio.get_running_loop()
        self.counts["token requests"] += 1
        if self.rng.random() < self.hang_share:
            await loop.create_future()
        latency = self.rng.uniform(0.2, 2.0) if self.rng.random() < 0.97 else self.rng.uniform(2.0, 12.0)
        await asyncio.sleep(latency / 2)
        if loop.time() < self.down_until or self.rng.random() < self.fault_share:
            return await self._fail(timeout_ms / 1000 - latency / 2)
        sent = parse_qs((request.body or b"").decode())["refresh_token"][0]
        login = self.live.pop(sent, None)
        if login is None:
            self.counts["refused"] += 1
            answer = Answer(400, '{"error":"invalid_request"}')
        else:
            self.counts["refreshed"] += 1
            access, refresh = self._issue(login, loop.time())
            self.issued.append((access, refresh))
            answer = Answer(
                200,
                json.dumps(
                    {
                        "access_token": access,
                        "refresh_token": refresh,
                        "token_type": "Bearer",
                        "resource_url": "portal.qwen.ai",
                        "expires_in": LIFETIME_SECONDS,
                    }
                ),
            )
        await asyncio.sleep(latency / 2)
        return answer

    async def _fail(self, timeout: float) -> Answer:
        self.counts["faults"] += 1
        kind = self.rng.random()
        if kind < 0.15:
            await asyncio.sleep(timeout)
            raise FetchTimeout
        if kind < 0.3:
            raise FetchError
        return self.rng.choice(PASSING_ANSWERS)

    def _issue(self, login: str, now: float) -> tuple[str, str]:
        self._serial += 1
        access, refresh = f"access-{login}-{self._serial}", f"refresh-{login}-{self._serial}"
        if self.revokes_previous:
            self.revoke(self._latest.get(login, ""))
        self._latest[login] = access
        self.expiry[access] = now + LIFETIME_SECONDS
        self.live[refresh] = login
        return access, refresh
