"""What the simulator received, what it answered, and how the connection ended."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.simulator.fault_queue import Endpoint
from tests.simulator.json_types import JsonValue

Outcome = Literal["pending", "completed", "client_disconnected", "broken_off", "stopped", "failed"]
_POLL_SECONDS = 0.005
_KEPT_REQUESTS = 20_000


@dataclass(slots=True, kw_only=True)
class ReceivedRequest:
    """One request, and what became of it.

    `headers` compares names without case. `body` is the parsed JSON body, `form` the parsed form body.
    `key` is the simulation's key or the x-request-id, `attempt` counts the requests with that key from 1.
    `credential` names the login or the API key that was accepted. `outcome` is `client_disconnected` if the
    client went away before the answer was complete, `broken_off` if a fault cut the connection, `stopped`
    if the simulator was shut down, `failed` if the simulator itself has a fault. The `*_at` fields are
    seconds of `time.monotonic()`.
    """

    endpoint: Endpoint
    method: str
    path: str
    headers: Mapping[str, str]
    raw_body: bytes
    body: JsonValue
    form: Mapping[str, str]
    received_at: float
    key: str = ""
    attempt: int = 1
    credential: str | None = None
    fault: str | None = None
    status: int | None = None
    request_id: str = ""
    outcome: Outcome = "pending"
    events_sent: int = 0
    first_byte_at: float | None = None
    ended_at: float | None = None

    @property
    def disconnected(self) -> bool:
        """Whether the client's disconnect reached the simulator before the answer was complete."""
        return self.outcome == "client_disconnected"

    @property
    def disconnected_at(self) -> float | None:
        """When the disconnect was noticed, or None."""
        return self.ended_at if self.disconnected else None

    @property
    def bearer(self) -> str:
        """The token of the Authorization header, or an empty string."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


Condition = Callable[[ReceivedRequest], bool]


def received(_: ReceivedRequest) -> bool:
    """The condition that any recorded request meets."""
    return True


def ended(request: ReceivedRequest) -> bool:
    """The condition that a request's answer is over, in whatever way."""
    return request.outcome != "pending"


def disconnected(request: ReceivedRequest) -> bool:
    """The condition that the client went away before the answer was complete."""
    return request.disconnected


@dataclass(slots=True)
class Recorder:
    """The last requests, oldest first. Safe to read from another thread."""

    _requests: deque[ReceivedRequest] = field(default_factory=lambda: deque(maxlen=_KEPT_REQUESTS))
    _attempts: Counter[str] = field(default_factory=Counter)
    _accepted: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, request: ReceivedRequest) -> None:
        """Record a request as received; counts its attempt."""
        with self._lock:
            self._attempts[request.key] += 1
            request.attempt = self._attempts[request.key]
            self._requests.append(request)

    def end(self, request: ReceivedRequest, outcome: Outcome) -> None:
        """Record that the answer to a request is over; the first outcome counts."""
        if request.outcome == "pending":
            request.outcome = outcome
            request.ended_at = time.monotonic()

    def accept(self, key: str) -> int:
        """Count an attempt that got past the checks of credential and body; returns its number from 1."""
        with self._lock:
            self._accepted[key] += 1
            return self._accepted[key]

    def requests(
        self, endpoint: Endpoint | None = None, credential: str | None = None
    ) -> list[ReceivedRequest]:
        """Return the requests recorded, oldest first: those to one endpoint, those of one login, or all."""
        with self._lock:
            everything = list(self._requests)
        return [
            request
            for request in everything
            if endpoint in (None, request.endpoint) and credential in (None, request.credential)
        ]

    def find(self, key: str) -> list[ReceivedRequest]:
        """Return the attempts of one logical request, oldest first."""
        return [request for request in self.requests() if request.key == key]

    def wait_for(
        self, key: str, condition: Condition = received, *, timeout_seconds: float = 5.0
    ) -> ReceivedRequest:
        """Block until a request with `key` meets `condition`; only for threads other than the simulator's.

        Raises TimeoutError, telling what was recorded under the key.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            seen = self.find(key)
            for request in seen:
                if condition(request):
                    return request
            if time.monotonic() >= deadline:
                told = [f"attempt {request.attempt}: {request.status} {request.outcome}" for request in seen]
                raise TimeoutError(
                    f"no request with key {key!r} met the condition; recorded: {told or 'none'}"
                )
            time.sleep(_POLL_SECONDS)
