"""How far a daily limit is overrun at worst. `python -m tests.simulation.limits` shows more."""

import pytest

from tests.simulation.limits import RUSHES, simulate


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("name", "most_seconds"),
    [("one isolate", 10), ("ten isolates", 65), ("ten, a limit that is soon reached", 65)],
)
def test_a_limit_is_overrun_by_a_minute_of_use_at_most(name: str, most_seconds: float, seed: int) -> None:
    result = simulate(RUSHES[name], seed)
    assert result.spent >= result.limit, "the limit is reached"
    assert result.seconds < most_seconds
    assert result.last_answer_seconds < most_seconds


def test_isolates_that_die_with_what_they_have_not_written_do_not_lift_it() -> None:
    rush = RUSHES["forty, short-lived"]._replace(isolates=10, rate=5)
    assert simulate(rush, 1).seconds < 90


def test_without_a_database_each_isolate_has_a_limit_of_its_own() -> None:
    rush = RUSHES["ten, no database"]._replace(isolates=2, rate=10, seconds_to_limit=20)
    result = simulate(rush, 1)
    assert result.spent == pytest.approx(2 * result.limit, rel=0.25)
