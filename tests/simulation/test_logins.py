"""No change of the logins is lost, and no token, whatever place it is made in."""

import pytest

from tests.simulation.logins import LoginScenario, simulate_logins

SCENARIOS = {
    "cached": LoginScenario(),
    "worst KV": LoginScenario("worst"),
}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_agrees_in_the_end(name: str, seed: int) -> None:
    report = simulate_logins(SCENARIOS[name], seed)
    assert report.changes > 60
    assert report.refreshes > 10
    assert (report.missing, report.undead, report.left_over, report.lost) == ([], [], [], [])
