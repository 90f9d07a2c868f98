"""Faults that a test lays down beforehand, for requests that cannot carry their own description."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from tests.simulator.faults import Fault
from tests.simulator.json_types import JsonValue

Endpoint = Literal["chat", "token", "device_code", "other"]


@dataclass(slots=True, kw_only=True)
class QueuedFault:
    """A fault for the next `times` matching requests (None: until removed); the empty filters match every
    request.
    """

    fault: Fault
    endpoint: Endpoint = "chat"
    times: int | None = 1
    credential: str | None = None
    path_prefix: str = ""
    key: str | None = None
    used: int = 0

    def matches(self, endpoint: Endpoint, path: str, credentials: Collection[str], key: str) -> bool:
        """Tell whether the fault is meant for a request with these names of its credential (token or key,
        login).
        """
        return (
            self.endpoint == endpoint
            and (self.times is None or self.used < self.times)
            and (self.credential is None or self.credential in credentials)
            and path.startswith(self.path_prefix)
            and (self.key is None or self.key == key)
        )


class FaultQueue:
    """The queued faults of one simulator, first in, first used. Safe to fill from another thread."""

    def __init__(self) -> None:
        self._queued: list[QueuedFault] = []
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault | JsonValue,
        *,
        endpoint: Endpoint = "chat",
        times: int | None = 1,
        credential: str | None = None,
        path_prefix: str = "",
        key: str | None = None,
    ) -> QueuedFault:
        """Queue a fault (or its JSON description) and return the entry, whose `used` counts the answers it
        made.

        `credential` is an access token, an API key or the name of a login. Raises SimulationError.
        """
        parsed = fault if isinstance(fault, Fault) else Fault.from_json(fault)
        entry = QueuedFault(
            fault=parsed,
            endpoint=endpoint,
            times=times,
            credential=credential,
            path_prefix=path_prefix,
            key=key,
        )
        with self._lock:
            self._queued.append(entry)
        return entry

    def take(self, endpoint: Endpoint, path: str, credentials: Collection[str], key: str) -> Fault | None:
        """Return the fault for a request, if one is queued, and count its use."""
        if not self._queued:
            return None
        with self._lock:
            for entry in self._queued:
                if entry.matches(endpoint, path, credentials, key):
                    entry.used += 1
                    if entry.used == entry.times:
                        self._queued.remove(entry)
                    return entry.fault
        return None

    def remove(self, entry: QueuedFault) -> None:
        """Take back a queued fault; does nothing if it is used up."""
        with self._lock:
            if entry in self._queued:
                self._queued.remove(entry)

    def clear(self) -> None:
        """Take back all."""
        with self._lock:
            self._queued.clear()
