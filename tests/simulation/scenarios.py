"""The named scenarios."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.simulation import Scenario

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("cron"),
        Scenario("no cron", cron=False),
        Scenario("strict Qwen", cron=False, endpoint_revokes_previous=True, new_logins=3),
        Scenario("several logins", logins=3, new_logins=2, rearrangements=8),
        Scenario("several, no cron", cron=False, logins=3, new_logins=2, rearrangements=8),
        Scenario("worst KV", cron=False, staleness="worst"),
    )
}


def small(name: str) -> Scenario:
    """The scenario with fewer isolates at a time; thousands live and die in its 30 days."""
    return replace(SCENARIOS[name], isolates=60, places=20, request_gap=7_200.0)
