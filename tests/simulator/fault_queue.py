"""Faults that a test prepares for later requests, which cannot carry `simulate` themselves."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from tests.simulator.faults import Fault, Simulation
from tests.simulator.json_types import JsonValue

Endpoint = Literal[
    "chat",
    "responses",
    "messages",
    "count_tokens",
    "completions",
    "embeddings",
    "models",
    "token",
    "device_code",
    "authorize",
    "other",
]


@dataclass(slots=True)
class _QueuedFault:
    fault: Fault
    endpoint: Endpoint
    times: int
    credential: str | None


class FaultQueue:
    """The prepared faults of one simulator; those queued first are used first. Safe to fill from another
    thread.
    """

    def __init__(self) -> None:
        self._queued: list[_QueuedFault] = []
        self._plans: dict[str, Simulation] = {}
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault | JsonValue,
        *,
        endpoint: Endpoint = "chat",
        times: int = 1,
        credential: str | None = None,
    ) -> None:
        """Queue a fault (or its JSON description) for the next `times` requests to `endpoint`.

        `credential`, an access token, an API key, the name of a login or the user code of a login that is
        not approved yet, limits it to requests with that one.
        Raises pydantic's ValidationError.
        """
        entry = _QueuedFault(Fault.model_validate(fault), endpoint, times, credential)
        with self._lock:
            self._queued.append(entry)

    def plan(self, key: str, simulation: JsonValue) -> None:
        """Say beforehand what `simulate` would say in each request whose x-request-id is `key`.

        The gateway passes that header on whatever becomes of the body. Raises pydantic's ValidationError.
        """
        planned = Simulation.model_validate(simulation)
        with self._lock:
            self._plans[key] = planned

    def planned(self, key: str) -> Simulation | None:
        """Return what was planned for a request."""
        with self._lock:
            return self._plans.get(key)

    def take(self, endpoint: Endpoint, credentials: Collection[str]) -> Fault | None:
        """Return the fault for a request, if one is queued, and count its use.

        `credentials` are the names of the request's credential: its token or key, and its login's name.
        """
        with self._lock:
            for entry in self._queued:
                if entry.endpoint == endpoint and entry.credential in (None, *credentials):
                    entry.times -= 1
                    if entry.times == 0:
                        self._queued.remove(entry)
                    return entry.fault
        return None
