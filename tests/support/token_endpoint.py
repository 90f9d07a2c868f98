"""Qwen's token endpoint, whose refresh tokens work once."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from qwen_worker.platform.ports import FetchError, FetchTimeout, InboundResponse, OutboundRequest
from tests.support.clock import START_MS, pass_time

HOUR = 3600
LIFETIME_SECONDS = 6 * HOUR


@dataclass
class Answer:
    """An answer of the token endpoint."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    buffer: None = None

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    async def text(self, limit_bytes: int = 65_536) -> str:
        return self.body[:limit_bytes]

    async def whole(self, limit_bytes: int) -> Any:
        raise AssertionError("the token endpoint's answer is not passed on")

    def end_timeout(self) -> None:
        pass

    def reader(self) -> Any:
        raise AssertionError("the token endpoint's answer is not passed on")

    def cancel(self) -> None:
        pass


REFUSED = Answer(400, '{"error":"invalid_request","error_description":"Invalid refresh token or client_id"}')
PASSING_ANSWERS = (
    Answer(429, '{"error":"slow_down"}', {"retry-after": "2"}),
    Answer(500, '{"error":"server_error"}'),
    Answer(504, "<html>504 Gateway Time-out</html>"),
    Answer(200, "<html>Please verify that you are human</html>"),
)

Fault = Answer | Exception | str
"""An answer, an error, "time out", or "hang": never an answer."""


@dataclass
class FaultsByChance:
    """Faults of the simulation. Shares are probabilities.

    A fault strikes before the token is spent: an answer that is lost after that takes the login with it, and
    no client can do anything about it.
    """

    rng: random.Random
    fault_share: float
    hang_share: float
    down_until: float = 0.0
    """Until this time of the loop every request meets a fault."""

    def latency(self) -> float:
        return self.rng.uniform(0.2, 2.0) if self.rng.random() < 0.97 else self.rng.uniform(2.0, 12.0)

    def next_fault(self) -> Fault | None:
        if asyncio.get_running_loop().time() >= self.down_until and self.rng.random() >= self.fault_share:
            return None
        kind = self.rng.random()
        if kind < 0.15:
            return "time out"
        return FetchError() if kind < 0.3 else self.rng.choice(PASSING_ANSWERS)


class TokenEndpoint:
    """The Fetcher port as a token endpoint, and what the API thinks of the access tokens.

    A login is a chain of tokens: what comes of `refresh-0` is `access-refresh-1` and `refresh-1`, and so on.
    `live` has the refresh tokens that work. `faults` are used up one a request.
    """

    def __init__(self, *live: str, by_chance: FaultsByChance | None = None) -> None:
        self.live = set(live or ("refresh-0",))
        self.by_chance = by_chance
        self.delay_seconds = 0.3
        self.lifetime_seconds: float | None = LIFETIME_SECONDS
        self.extra: dict[str, Any] = {}
        self.rotates = True
        self.revokes_previous = False
        """Whether a refresh ends the access token before it."""
        self.faults: list[Fault] = []
        self.requests: list[OutboundRequest] = []
        self.spent: list[str] = []
        """The refresh tokens that have been traded for others."""
        self.issued: list[tuple[str, str]] = []
        """The pairs of access and refresh token that came of them."""
        self.counts: Counter[str] = Counter()
        self._expiry: dict[str, float] = {}

    @property
    def refused(self) -> int:
        return self.counts["refused"]

    def spent_by(self, login: str) -> list[str]:
        """The spent refresh tokens of one login."""
        return [token for token in self.spent if token.startswith(f"{login}-")]

    def log_in(self, login: str) -> dict[str, Any]:
        """A new login, as the CLI's `oauth_creds.json` holds it."""
        now = asyncio.get_running_loop().time()
        self.live.add(f"{login}-0")
        self._expiry[f"access-{login}-0"] = now + LIFETIME_SECONDS
        text = login_json(
            access=f"access-{login}-0", refresh=f"{login}-0", expires_in_seconds=now + LIFETIME_SECONDS
        )
        value: dict[str, Any] = json.loads(text)
        return value

    def accepts(self, access_token: str) -> bool:
        """The API's check."""
        return asyncio.get_running_loop().time() < self._expiry.get(access_token, 0.0)

    def revoke(self, access_token: str) -> None:
        """Ends an access token before its time."""
        self._expiry[access_token] = 0.0

    async def fetch(
        self, request: OutboundRequest, *, timeout_ms: int, is_stream: bool = False
    ) -> InboundResponse:
        self.requests.append(request)
        chance = self.by_chance
        if chance is not None and chance.rng.random() < chance.hang_share:
            await asyncio.get_running_loop().create_future()
        fault = self.faults.pop(0) if self.faults else None
        if fault == "hang":
            await asyncio.get_running_loop().create_future()
        latency = self.delay_seconds if chance is None else chance.latency() / 2
        if fault != "time out":
            await pass_time(latency)
        if fault is None and chance is not None:
            fault = chance.next_fault()
        if fault is not None:
            return await self._play(fault, timeout_ms / 1000 - (0.0 if chance is None else latency))
        answer = self._trade(parse_qs((request.body or b"").decode())["refresh_token"][0])
        if chance is not None:
            await pass_time(latency)
        return answer

    async def _play(self, fault: Fault, timeout_seconds: float) -> Answer:
        self.counts["faults"] += 1
        if fault == "time out":
            await pass_time(timeout_seconds)
            raise FetchTimeout
        if isinstance(fault, Exception):
            raise fault
        assert isinstance(fault, Answer)
        return fault

    def _trade(self, sent: str) -> Answer:
        if sent not in self.live:
            self.counts["refused"] += 1
            return REFUSED
        self.counts["refreshed"] += 1
        self.spent.append(sent)
        if not self.rotates:
            return Answer(
                200, json.dumps({"access_token": f"access-{len(self.spent)}", "expires_in": 6 * HOUR})
            )
        login, _, number = sent.rpartition("-")
        refresh = f"{login}-{int(number) + 1}"
        access = f"access-{refresh}"
        self.live.remove(sent)
        self.live.add(refresh)
        self.issued.append((access, refresh))
        if self.revokes_previous:
            self.revoke(f"access-{sent}")
        self._expiry[access] = asyncio.get_running_loop().time() + (self.lifetime_seconds or HOUR)
        answer: dict[str, Any] = {
            "status": "success",
            "access_token": access,
            "token_type": "Bearer",
            "refresh_token": refresh,
            "resource_url": "portal.qwen.ai",
        }
        if self.lifetime_seconds is not None:
            answer["expires_in"] = self.lifetime_seconds
        return Answer(200, json.dumps({**answer, **self.extra}))


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
        login["expiry_date"] = START_MS + int(expires_in_seconds * 1000)
    return json.dumps({**login, **extra})
