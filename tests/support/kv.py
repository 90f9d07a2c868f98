"""Workers KV: eventually consistent, last write wins, one write a second to a key."""

from __future__ import annotations

import asyncio
import json
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.platform.ports import StoreError
from tests.support.clock import pass_time

STALENESS_SECONDS = 60.0

Staleness = Literal["none", "cached", "worst"]
"""How reads are stale.

"cached": every place keeps what it has read, a miss too, for 60 s, and sees its own writes; what a place has
not read within that time comes from the central store. This is what Cloudflare describes. "worst": every
single read shows the state of some moment of the last 60 s, the place's own writes included; two reads in a
row may go back in time. The real KV is never this stale.
"""


@dataclass
class Chance:
    """What happens to reads and writes by chance. Shares are probabilities, times are in seconds."""

    rng: random.Random
    error_share: float = 0.0
    write_error_share: float = 0.0
    """Errors of writes alone, in addition."""
    late_error_share: float = 0.0
    """The share of the failing writes that take effect all the same."""
    read_seconds: tuple[float, float] = (0.002, 0.08)
    write_seconds: tuple[float, float] = (0.02, 0.6)
    down_until: float = 0.0
    """Until this time of the loop everything fails."""

    def fails(self, now: float) -> bool:
        return now < self.down_until or self.rng.random() < self.error_share

    def write_fails(self, now: float) -> bool:
        if self.fails(now):
            return True
        return self.write_error_share > 0 and self.rng.random() < self.write_error_share

    def takes_effect(self) -> bool:
        """Whether a write that is told to have failed has done its work."""
        return self.late_error_share > 0 and self.rng.random() < self.late_error_share


@dataclass
class Namespace:
    """What all places share. `staleness` and `chance` need the loop's time: a `virtual` test."""

    values: dict[str, str] = field(default_factory=dict)
    staleness: Staleness = "none"
    chance: Chance | None = None
    limits_writes: bool = False
    """Whether a second write to a key within a second fails."""
    history: dict[str, list[tuple[float, str | None]]] = field(default_factory=dict)
    """What was written to each key, and when."""
    lifetimes: dict[str, int | None] = field(default_factory=dict)
    """The seconds after which each value was to expire. Expiry itself is not played."""
    counts: Counter[str] = field(default_factory=Counter)

    def at(self, key: str, time: float) -> str | None:
        """The value of a key at a moment."""
        versions = self.history.get(key, [])
        index = bisect_right(versions, time, key=lambda version: version[0])
        return versions[index - 1][1] if index else None

    def every_value(self) -> list[str]:
        """All values that were ever written."""
        return [value for versions in self.history.values() for _, value in versions if value is not None]

    def commit(self, key: str, value: str | None, now: float) -> None:
        """Sets a key; None deletes it."""
        self.history.setdefault(key, []).append((now, value))
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def refuses_write(self, key: str, now: float) -> bool:
        versions = self.history.get(key)
        return self.limits_writes and versions is not None and now < versions[-1][0] + 1.0


class MemoryKV:
    """The KeyValueStore port, as the isolates of one place see a namespace: their own one, or `namespace`.

    Consistent and without faults, but for what a test sets. `fail_reads` and `fail_writes` count down.
    """

    def __init__(
        self, values: Mapping[str, str] | None = None, *, namespace: Namespace | None = None
    ) -> None:
        self.namespace = namespace or Namespace(dict(values or {}))
        self.reads: list[str] = []
        self.writes: list[tuple[str, str]] = []
        self.fail_reads: float = 0
        self.fail_writes: float = 0
        self.fail_keys: set[str] = set()
        """Keys that cannot be read."""
        self.hide: set[str] = set()
        """Keys whose current value cannot be seen here yet; they read as missing."""
        self.shown: dict[str, str] = {}
        """Stale values that reads return instead of the current ones."""
        self.hang_writes = False
        self._cache: dict[str, tuple[float, str | None]] = {}

    @property
    def values(self) -> dict[str, str]:
        return self.namespace.values

    def elsewhere(self) -> MemoryKV:
        """Another place's view of the same namespace."""
        return MemoryKV(namespace=self.namespace)

    async def get(self, key: str) -> str | None:
        namespace, chance = self.namespace, self.namespace.chance
        self.reads.append(key)
        namespace.counts["reads"] += 1
        await pass_time(0.01 if chance is None else chance.rng.uniform(*chance.read_seconds))
        now = asyncio.get_running_loop().time()
        if self.fail_reads > 0 or key in self.fail_keys:
            self.fail_reads -= 1
            raise StoreError("Error")
        if chance is not None and chance.fails(now):
            raise StoreError("Error")
        if key in self.shown:
            return self.shown[key]
        return None if key in self.hide else self._seen(key, now)

    async def put(self, key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        namespace, chance = self.namespace, self.namespace.chance
        await pass_time(0.05 if chance is None else chance.rng.uniform(*chance.write_seconds))
        if self.hang_writes:
            await asyncio.get_running_loop().create_future()
        now = asyncio.get_running_loop().time()
        failure = self._failure_of_write(key, now)
        if failure is not None:
            namespace.counts["failed writes"] += 1
            if failure != "Error" or chance is None or not chance.takes_effect():
                raise StoreError(failure)
        else:
            namespace.counts["writes"] += 1
        namespace.commit(key, value, now)
        namespace.lifetimes[key] = expiration_ttl_seconds
        if namespace.staleness == "cached":
            self._cache[key] = (now, value)
        self.writes.append((key, value))
        if failure is not None:
            raise StoreError(failure)

    async def delete(self, key: str) -> None:
        namespace = self.namespace
        await pass_time(0.05)
        now = asyncio.get_running_loop().time()
        if self.fail_writes > 0:
            self.fail_writes -= 1
            raise StoreError("Error")
        if namespace.chance is not None and namespace.chance.write_fails(now):
            raise StoreError("Error")
        namespace.commit(key, None, now)
        if namespace.staleness == "cached":
            self._cache[key] = (now, None)

    def _failure_of_write(self, key: str, now: float) -> str | None:
        if self.fail_writes > 0:
            self.fail_writes -= 1
            return "Error"
        if self.namespace.chance is not None and self.namespace.chance.write_fails(now):
            return "Error"
        return "Too Many Requests" if self.namespace.refuses_write(key, now) else None

    def _seen(self, key: str, now: float) -> str | None:
        """The value as this place sees it."""
        namespace = self.namespace
        if namespace.staleness == "none":
            return namespace.values.get(key)
        if namespace.staleness == "worst":
            assert namespace.chance is not None
            return namespace.at(key, now - namespace.chance.rng.uniform(0.0, STALENESS_SECONDS))
        cached = self._cache.get(key)
        if cached is not None and now < cached[0] + STALENESS_SECONDS:
            return cached[1]
        value = namespace.at(key, now)
        self._cache[key] = (now, value)
        return value

    @property
    def record(self) -> dict[str, Any]:
        """The first login as KV holds it."""
        value: dict[str, Any] = json.loads(self.values[RECORD_KEY])
        return value

    @property
    def record_reads(self) -> int:
        return self.reads.count(RECORD_KEY)

    @property
    def record_writes(self) -> list[dict[str, Any]]:
        return [json.loads(value) for key, value in self.writes if key == RECORD_KEY]
