import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qwen_worker.usage.counters import (
    COLUMNS,
    INDEX,
    MOST_ROWS,
    OTHER,
    Counters,
    Row,
    billed,
    utc_day,
    utc_hour,
)

ROW = Row("2026-11-27", "alice", 18, "qwen3-coder-plus", "first", "chat")


def test_columns_add_up_by_row() -> None:
    counters = Counters()
    counters.add(ROW, {"requests": 1, "input_tokens": 5})
    counters.add(ROW, {"requests": 1, "output_tokens": 7})
    counters.add(ROW._replace(hour=19), {"requests": 1})

    assert counters.rows[ROW][INDEX["requests"]] == 2
    assert billed(counters.rows[ROW]) == 12
    assert len(counters.rows) == 2


_changes = st.dictionaries(st.sampled_from(COLUMNS), st.integers(-1000, 1000), max_size=4)
_rows = st.builds(
    Row,
    st.just("2026-11-27"),
    st.sampled_from("ab"),
    st.integers(0, 2),
    st.sampled_from("xy"),
    st.just(""),
    st.just("chat"),
)


@hypothesis_settings(deadline=None)
@given(st.lists(st.one_of(st.tuples(_rows, _changes), st.sampled_from(["write", "fail"])), max_size=40))
def test_nothing_is_lost_and_nothing_counted_twice(steps: list[tuple[Row, dict[str, int]] | str]) -> None:
    """Counts go on while rows are being written, and while they fail to be."""
    counters = Counters()
    written = dict.fromkeys(COLUMNS, 0)
    expected = dict.fromkeys(COLUMNS, 0)
    under_way: dict[Row, list[int]] = {}
    for step in steps:
        if isinstance(step, tuple):
            counters.add(*step)
            for name, change in step[1].items():
                expected[name] += change
        elif step == "fail":
            counters.put_back(under_way)
            under_way = counters.take()
        else:
            for counts in under_way.values():
                for name in COLUMNS:
                    written[name] += counts[INDEX[name]]
            under_way = counters.take()
    for counts in (*under_way.values(), *counters.rows.values()):
        for name in COLUMNS:
            written[name] += counts[INDEX[name]]
    assert written == expected


def test_counters_are_bounded_and_what_does_not_fit_is_told() -> None:
    counters = Counters()
    for number in range(MOST_ROWS + 500):
        counters.add(ROW._replace(model=f"model-{number}"), {"requests": 1})

    assert len(counters.rows) == MOST_ROWS + 1
    assert counters.rows[ROW._replace(model=OTHER)][INDEX["requests"]] == 500

    for number in range(3 * MOST_ROWS):
        counters.add(ROW._replace(model=OTHER, account=f"account-{number}"), {"requests": 1})
    assert len(counters.rows) == 2 * MOST_ROWS
    total = sum(counts[INDEX["requests"]] for counts in counters.rows.values())
    assert total + counters.lost == MOST_ROWS + 500 + 3 * MOST_ROWS


@pytest.mark.parametrize(
    ("ms", "day", "hour"),
    [(0, "1970-01-01", 0), (86_399_999, "1970-01-01", 23), (1_800_000_000_000, "2027-01-15", 8)],
)
def test_days_and_hours_are_utc(ms: int, day: str, hour: int) -> None:
    assert (utc_day(ms), utc_hour(ms)) == (day, hour)
