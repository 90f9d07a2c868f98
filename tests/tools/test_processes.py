import os
import queue
import sys
import threading
from pathlib import Path

import pytest

from tools.processes import ProcessGroup, living_members

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); "
# Starts a child that ignores SIGTERM, and says when it is there.
STUBBORN_FAMILY = (
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN + 'time.sleep(60)'!r}])"
)
SLEEP = "import time; print('ready', flush=True); time.sleep(60)"


class Program:
    """A running Python program and what it prints; None follows the last line."""

    def __init__(self, code: str) -> None:
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.group = ProcessGroup(
            [sys.executable, "-c", code],
            cwd=Path.cwd(),
            environment=os.environ,
            on_line=self.lines.put,
            on_end=lambda: self.lines.put(None),
        )


def test_stop_ends_descendants_that_ignore_sigterm() -> None:
    program = Program(STUBBORN_FAMILY)
    assert program.lines.get(timeout=10) == "ready"
    assert len(living_members(program.group.pid)) == 2

    program.group.stop(grace_seconds=0.3)

    assert living_members(program.group.pid) == []
    assert program.group.exit_code() is not None


def test_stop_leaves_other_groups_alone() -> None:
    first, second = Program(SLEEP), Program(SLEEP)

    first.group.stop()

    assert living_members(second.group.pid) == [second.group.pid]
    second.group.stop()


def test_stop_is_harmless_after_the_end() -> None:
    program = Program("print('done')")
    assert program.lines.get(timeout=10) == "done"
    assert program.lines.get(timeout=10) is None

    program.group.stop()
    program.group.stop()

    assert program.group.exit_code() == 0


def test_input_reaches_the_program() -> None:
    program = Program("print(input()[::-1])")

    program.group.send("olleh")

    assert program.lines.get(timeout=10) == "hello"
    program.group.stop()


def test_several_threads_may_stop_a_group() -> None:
    program = Program(SLEEP)
    assert program.lines.get(timeout=10) == "ready"

    stoppers = [threading.Thread(target=program.group.stop) for _ in range(4)]
    for thread in stoppers:
        thread.start()
    for thread in stoppers:
        thread.join(10)

    assert program.lines.get(timeout=10) is None
    assert not any(thread.is_alive() for thread in stoppers)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_end_is_told_when_a_line_cannot_be_passed_on() -> None:
    """`make dev | head` prints into a pipe that nobody reads any more. It must not go on unheard."""
    ended = threading.Event()

    def fail(_: str) -> None:
        raise BrokenPipeError

    group = ProcessGroup(
        [sys.executable, "-c", SLEEP], cwd=Path.cwd(), environment=os.environ, on_line=fail, on_end=ended.set
    )

    assert ended.wait(10)
    group.stop()
