"""What is varied in a simulated month, and the results."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.support.kv import Staleness

HOUR = 3_600.0


@dataclass(frozen=True)
class Scenario:
    """What is varied. Shares are probabilities per request, call or operation; times are in seconds."""

    name: str
    cron: bool = True
    staleness: Staleness = "cached"
    days: float = 30.0
    isolates: int = 150
    places: int = 25
    isolate_lifetime: float = 3 * HOUR
    request_gap: float = 2_400.0
    quiet_nights: float = 0.5
    hang_up_share: float = 0.05
    endpoint_fault_share: float = 0.05
    endpoint_hang_share: float = 0.005
    endpoint_outage: float = 300.0
    endpoint_revokes_previous: bool = False
    kv_error_share: float = 0.02
    kv_outage: float = 15.0
    kv_storms: int = 0
    """How often KV is in trouble for ten minutes: reads take seconds, most writes fail, some of them take
    effect all the same; and the API revokes the newest token again and again, so that a token is replaced
    before it is saved.
    """
    revocations: int = 5
    new_logins: int = 1
    logins: int = 1
    """How many accounts there are at a time."""
    rearrangements: int = 0
    """How often the operator puts them in another order, takes one out or puts it back."""


@dataclass
class Report:
    """The results of a simulated month."""

    seed: int
    scenario: Scenario
    counts: Counter[str] = field(default_factory=Counter)
    error_codes: Counter[str] = field(default_factory=Counter)
    lost_tokens: list[str] = field(default_factory=list)
    broken_trails: list[str] = field(default_factory=list)
    unsaved_in_truth: list[str] = field(default_factory=list)
    setbacks: list[str] = field(default_factory=list)
    mixed_up: list[str] = field(default_factory=list)
    longest_dark_seconds: float = 0.0
    dead_at_the_end: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.counts["requests"]

    def per_day(self, name: str) -> float:
        return self.counts[name] / self.scenario.days

    def share(self, name: str) -> float:
        return self.counts[name] / max(1, self.requests)

    @property
    def problems(self) -> list[str]:
        """Results that must never occur."""
        problems = []
        if self.dead_at_the_end:
            problems.append(f"bricked: no isolate gets a working token any more of {self.dead_at_the_end}")
        if self.mixed_up:
            problems.append(f"tokens of another account: {self.mixed_up[:3]}")
        if self.lost_tokens:
            problems.append(f"rotated tokens lost: {len(self.lost_tokens)}")
        if self.broken_trails:
            problems.append(f"spent tokens without a successor in KV: {self.broken_trails[:3]}")
        if self.unsaved_in_truth:
            problems.append(f"said to be saved, but not in KV: {self.unsaved_in_truth[:3]}")
        # While KV fails, one place may repeat its write and not see another place's newer one. KV cannot do
        # better, and the successors lead from the older token to the newer one.
        if self.setbacks and not self.scenario.kv_storms:
            problems.append(f"KV's record deleted or replaced by an older token: {self.setbacks[:3]}")
        if self.longest_dark_seconds > self.scenario.endpoint_outage + 300:
            problems.append(f"dark for {self.longest_dark_seconds:.0f} s")
        return problems
