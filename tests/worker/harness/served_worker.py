"""A Worker behind `wrangler dev`, as a developer runs it: on the embedded runtime or on production's."""

import os
import queue
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.worker.harness.logs import LogBook
from tools.embedded_wrangler import dev_command, dev_environment
from tools.network import NotReady, free_port, wait_for_answer
from tools.processes import ProcessGroup
from tools.pywrangler import pywrangler_command
from tools.repository import LOCAL, ROOT, SOURCE
from tools.worker_config import write_local_config

_HOST = "127.0.0.1"
_READY = re.compile(r"Ready on (http://\S+)")
# What workerd answers for a Worker that raised an error.
_CRASHED = 500
_QUOTES = "'`\""

MAKE_DEV = "import sys, pathlib, tools.dev_server as d; d.DEV_VARS = pathlib.Path(sys.argv[1]); d.main()"
"""`make dev` with another file in place of the checkout's `.dev.vars`, which must not decide what is tested.
"""


class ServedWorker:
    """A running Worker.

    `base_url` is its origin, `log` what it prints, and wrangler from the moment when it is ready: before, it
    shows the values of all variables. Raises NotReady, with everything printed, when the Worker does not
    start within `timeout_seconds`. Use a fixture, which stops it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_seconds: float,
    ) -> None:
        self.log = LogBook()
        self._start_log = self._log_to = LogBook()
        self._announced: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._group = ProcessGroup(
            command,
            cwd=cwd,
            environment=environment,
            on_line=self._hear,
            on_end=lambda: self._announced.put(""),
        )
        try:
            self.base_url = self._wait_until_ready(timeout_seconds)
        except BaseException:
            self.stop()
            raise

    @property
    def openai_base_url(self) -> str:
        """What OpenAI clients are given as their base URL."""
        return f"{self.base_url}/v1"

    def events(self, name: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """The Worker's own log events so far (see LogBook.events)."""
        return self.log.events(name, **fields)

    def stop(self) -> None:
        """Ends the Worker and every process it started."""
        self._group.stop()

    def _wait_until_ready(self, timeout_seconds: float) -> str:
        try:
            base_url = self._announced.get(timeout=timeout_seconds)
            if not base_url:
                raise NotReady("wrangler ended")
            health = wait_for_answer(
                f"{base_url}/health",
                timeout_seconds=timeout_seconds,
                still_running=lambda: self._group.exit_code() is None,
            )
            if health.status == _CRASHED:
                raise NotReady("the Worker raised an error")
        except (queue.Empty, NotReady) as error:
            printed = f"{self._start_log.text()}\n{self.log.text()}"
            raise NotReady(f"the Worker did not start: {error!r}; it printed:\n{printed}") from error
        return base_url

    def _hear(self, line: str) -> None:
        if ready := _READY.search(line):
            self._log_to = self.log
            self._announced.put(ready[1])
        self._log_to.add(line)


class WranglerWorker(ServedWorker):
    """A Worker behind the embedded runtime's `wrangler dev`.

    It runs a copy of `source`, so that editing does not restart it in the middle of a test. `state` is the
    folder where KV persists; without it, KV starts empty and goes with the Worker.
    """

    def __init__(
        self, variables: Mapping[str, str] | None = None, *, source: Path = SOURCE, state: Path | None = None
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="qwen-worker-"))
        copy = self._directory / "src"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        config = write_local_config(self._directory, copy, variables or {})
        super().__init__(
            dev_command(config, host=_HOST, port=0, state=state or self._directory / "state"),
            cwd=self._directory,
            environment=dev_environment(self._directory),
            timeout_seconds=60.0,
        )

    def stop(self) -> None:
        """Ends the Worker and every process it started, and removes what it left behind."""
        super().stop()
        shutil.rmtree(self._directory, ignore_errors=True)


class MakeDev(ServedWorker):
    """`make dev` itself, with these variables as its `.dev.vars`; KV and database start empty.

    Unlike a WranglerWorker it starts workerd again when that dies.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="qwen-worker-"))
        self._port = free_port()
        dev_vars = self._directory / ".dev.vars"
        dev_vars.write_text(dotenv(variables))
        dev_vars.chmod(0o600)
        super().__init__(
            [sys.executable, "-c", MAKE_DEV, str(dev_vars)],
            cwd=ROOT,
            environment={
                **os.environ,
                "PORT": str(self._port),
                "HOST": "",
                "STATE": str(self._directory / "state"),
            },
            timeout_seconds=60.0,
        )

    def stop(self) -> None:
        """Ends it as SIGTERM does, and removes what it left behind."""
        self._group.stop(grace_seconds=15.0)
        for directory in (self._directory, LOCAL / "dev" / str(self._port)):
            shutil.rmtree(directory, ignore_errors=True)


class ProductionWorker(ServedWorker):
    """A Worker behind `pywrangler dev`, on the Python and the SDK that production runs.

    Needs uv, Node.js 22 and the hosts from which they download the runtime; the first start takes minutes.
    """

    def __init__(self, variables: Mapping[str, str] | None = None, *, state: Path | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="qwen-worker-"))
        env_file = self._directory / "vars.env"
        env_file.write_text(dotenv(variables or {}))
        env_file.chmod(0o600)
        command = [
            *pywrangler_command("dev"),
            f"--ip={_HOST}",
            "--port=0",
            "--inspector-port=0",
            f"--persist-to={state or self._directory / 'state'}",
            f"--env-file={env_file}",
            "--show-interactive-dev-session=false",
        ]
        super().__init__(
            command,
            cwd=ROOT,
            environment={**os.environ, "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"},
            timeout_seconds=600.0,
        )

    def stop(self) -> None:
        """Ends the Worker and every process it started, and removes what it left behind."""
        super().stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def dotenv(variables: Mapping[str, str]) -> str:
    """The variables in the format of `.dev.vars`.

    Raises ValueError for a value that the format cannot hold: one with all three kinds of quotes.
    """
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in variables.items())


def _quoted(name: str, value: str) -> str:
    for quote in _QUOTES:
        # Between double quotes, \n and \r would be unescaped.
        if quote not in value and not (quote == '"' and "\\" in value):
            # A bare $ would begin a reference to another variable.
            return quote + value.replace("$", "\\$") + quote
    raise ValueError(f"{name} holds every kind of quote, which a .dev.vars file cannot")
