"""Thirty days of a Worker: hundreds of isolates in many places, and everything that can go wrong.

The real manager, account and store code runs in virtual time over a KV that is stale for up to 60 s and a
token endpoint whose refresh tokens work once. Isolates start and die, clients come in bursts, hang up and
retry as the OpenAI SDKs do, Qwen and KV have faults and outages, access tokens are revoked early, and on some
nights nobody calls, so that in the morning many clients meet an expired token in all places at once.

What is assumed to hold: the runtime lets background work (`waitUntil`) end before it evicts an isolate, and
an answer of the token endpoint that has spent a refresh token arrives.
"""

from __future__ import annotations

from tests.simulation.report import Report, Scenario
from tests.simulation.world import World
from tests.support.clock import run_virtual


def simulate(scenario: Scenario, seed: int) -> Report:
    """Runs one scenario with one seed; the same seed gives the same report."""

    async def main() -> Report:
        return await World(scenario, seed).run()

    return run_virtual(main())
