import pytest

from qwen_worker.log import LEVELS, Log
from tests.support.ports import LogRecorder

WRITERS = ("debug", "info", "warning", "error")


@pytest.mark.parametrize("level", LEVELS)
def test_only_lines_at_or_above_the_level_are_written(level: str) -> None:
    recorder = LogRecorder()
    log = Log(recorder, level)
    for writer in WRITERS:
        getattr(log, writer)("something")
    expected = [writer for writer in WRITERS if LEVELS[writer] >= LEVELS[level]]
    assert [line["level"] for line in recorder.lines] == expected
    assert log.is_debug == (level == "debug")


def test_every_line_of_a_request_carries_its_id_and_fields() -> None:
    recorder = LogRecorder()
    Log(recorder, "info", "req_1").info("upstream response", status=200)
    assert recorder.lines == [
        {"level": "info", "event": "upstream response", "request_id": "req_1", "status": 200}
    ]


def test_a_bound_logger_adds_its_fields_to_every_line() -> None:
    recorder = LogRecorder()
    log = Log(recorder, "info", "req_1").bound(account="work")
    log.debug("token source")
    log.info("retrying", attempt=1)
    assert recorder.lines == [
        {"level": "info", "event": "retrying", "request_id": "req_1", "account": "work", "attempt": 1}
    ]
