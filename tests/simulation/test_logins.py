"""No change of the logins is lost, and no token, whatever place it is made in."""

import pytest

from tests.simulation.logins import LoginScenario, simulate_logins


@pytest.mark.parametrize("seed", [1, 2, 11, 24])
def test_everybody_agrees_in_the_end(seed: int) -> None:
    report = simulate_logins(LoginScenario(), seed)
    assert report.changes > 60
    assert report.refreshes > 60
    assert (report.missing, report.undead, report.left_over, report.lost) == ([], [], [], [])
