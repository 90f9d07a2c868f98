"""Faults that a test queues for later requests, such as token requests, which cannot carry `simulate`."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonValue

Endpoint = Literal["chat", "embeddings", "models", "token", "device_code", "other"]


@dataclass(slots=True)
class _QueuedFault:
    fault: Fault
    endpoint: Endpoint
    times: int
    credential: str | None


class FaultQueue:
    """The queued faults of one simulator, first in, first used. Safe to fill from another thread."""

    def __init__(self) -> None:
        self._queued: list[_QueuedFault] = []
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

        `credential`, an access token, an API key or the name of a login, limits it to requests with that one.
        Raises pydantic's ValidationError.
        """
        entry = _QueuedFault(Fault.model_validate(fault), endpoint, times, credential)
        with self._lock:
            self._queued.append(entry)

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
