"""The named scenarios."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.report import Scenario

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("cron"),
        Scenario("no cron", cron=False),
        Scenario("strict Qwen", cron=False, endpoint_revokes_previous=True, new_logins=3),
        Scenario("several logins", logins=3, new_logins=2, rearrangements=8),
        Scenario("several, no cron", cron=False, logins=3, new_logins=2, rearrangements=8),
        Scenario("worst KV", cron=False, staleness="worst"),
        Scenario(
            "failing writes",
            cron=False,
            days=0.5,
            isolates=4,
            places=2,
            request_gap=30.0,
            quiet_nights=0.0,
            kv_storms=36,
            new_logins=0,
            endpoint_hang_share=0.0,
        ),
    )
}


def small(name: str) -> Scenario:
    """The scenario with fewer isolates at a time. In its 30 days thousands of isolates start and end."""
    scenario = SCENARIOS[name]
    if scenario.isolates <= 60:
        return scenario
    return replace(scenario, isolates=60, places=20, request_gap=7_200.0)
