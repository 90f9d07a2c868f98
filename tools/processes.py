"""Programs that are started together with everything they start, and ended together.

`wrangler dev` is a launcher, wrangler itself, esbuild and two workerd. Each program here gets a session, and
so a process group, of its own; ending it means that no member of the group is alive afterwards.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

_POLL_SECONDS = 0.02


class ProcessGroupAlive(RuntimeError):
    """Members of a process group outlived even SIGKILL."""


class ProcessGroup:
    """A running program with its descendants.

    `on_line` gets each line of its standard output and error, without the line feed and with undecodable
    bytes replaced, and `on_end` is called after the last one, or when `on_line` has raised an exception; both
    in a thread of their own.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(on_line, on_end), daemon=True)
        self._reader.start()
        # Needed if the calling program fails before it stops what it started.
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """The id of the program and of its process group."""
        return self._process.pid

    def send(self, line: str) -> None:
        """Writes a line to the program's standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def exit_code(self) -> int | None:
        """The program's exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Ends the whole group: SIGTERM, and SIGKILL for what is left after `grace_seconds`.

        Returns when no member is alive and all output has been handed to `on_line`; harmless when it has
        ended already. Raises ProcessGroupAlive.
        """
        self._signal(signal.SIGTERM)
        if not self._gone_within(grace_seconds):
            self._signal(signal.SIGKILL)
            if not self._gone_within(grace_seconds):
                raise ProcessGroupAlive(f"process group {self.pid} survived: {living_members(self.pid)}")
        self._process.wait()
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):  # unsent input
            if self._process.stdin is not None:
                self._process.stdin.close()
        atexit.unregister(self.stop)

    def _read(self, on_line: Callable[[str], None], on_end: Callable[[], None]) -> None:
        try:
            if self._process.stdout is not None:
                with self._process.stdout as output:
                    for line in output:
                        on_line(line.rstrip("\n"))
        finally:
            on_end()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            self._process.poll()
            if not living_members(self.pid):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)


def living_members(group: int) -> list[int]:
    """The ids of the processes of a group. Dead ones that nobody has waited for yet do not count."""
    return [process.pid for process in psutil.process_iter() if _is_living_member(process, group)]


def _is_living_member(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):  # ended in the meantime, or not ours to look at
        return False
