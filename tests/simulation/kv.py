"""Workers KV as documented: eventually consistent, last write wins, one write a second to a key."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from qwen_worker.platform.ports import StoreError

STALENESS_SECONDS = 60.0

Staleness = Literal["cached", "worst"]
"""How reads are stale.

"cached": every place keeps what it has read, a miss too, for 60 s, and sees its own writes; what a place has
not read within that time comes from the central store. This is what Cloudflare describes.
"worst": every single read shows the state of some moment of the last 60 s, the place's own writes included;
two reads in a row may go back in time. Worse than the real thing.
"""


@dataclass
class CentralStore:
    """What all places share. Keeps the history of every key, to be able to show the past."""

    rng: random.Random
    staleness: Staleness
    error_share: float
    history: dict[str, list[tuple[float, str | None]]] = field(default_factory=dict)
    last_write: dict[str, float] = field(default_factory=dict)
    down_until: float = 0.0
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
        """Sets a key; None deletes it, which no code of ours does."""
        self.history.setdefault(key, []).append((now, value))

    def fails(self, now: float) -> bool:
        return now < self.down_until or self.rng.random() < self.error_share


class PlaceKV:
    """The KeyValueStore port as the isolates of one place see it."""

    def __init__(self, store: CentralStore) -> None:
        self.central = store
        self._cache: dict[str, tuple[float, str | None]] = {}

    async def get(self, key: str) -> str | None:
        store = self.central
        loop = asyncio.get_running_loop()
        store.counts["reads"] += 1
        await asyncio.sleep(store.rng.uniform(0.002, 0.08))
        now = loop.time()
        if store.fails(now):
            raise StoreError("Error")
        if store.staleness == "worst":
            return store.at(key, now - store.rng.uniform(0.0, STALENESS_SECONDS))
        cached = self._cache.get(key)
        if cached is not None and now < cached[0] + STALENESS_SECONDS:
            return cached[1]
        value = store.at(key, now)
        self._cache[key] = (now, value)
        return value

    async def put(self, key: str, value: str, *, expiration_ttl_seconds: int | None = None) -> None:
        """Expiry is not played: the longest a key has to live here is shorter than the simulation."""
        store = self.central
        loop = asyncio.get_running_loop()
        await asyncio.sleep(store.rng.uniform(0.02, 0.6))
        now = loop.time()
        if store.fails(now):
            store.counts["failed writes"] += 1
            raise StoreError("Error")
        if now < store.last_write.get(key, -1.0) + 1.0:
            store.counts["failed writes"] += 1
            raise StoreError("Too Many Requests")
        store.last_write[key] = now
        store.counts["writes"] += 1
        store.commit(key, value, now)
        if store.staleness == "cached":
            self._cache[key] = (now, value)
