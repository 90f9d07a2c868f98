"""The Worker on a Pyodide from npm, in a Node.js process of its own."""

import contextlib
import importlib.metadata
import json
import os
import queue
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.production.node import newest_node
from tests.worker.harness.logs import LogBook
from tools.processes import ProcessGroup
from tools.repository import SOURCE

_DIRECTORY = Path(__file__).parent
_HOST = _DIRECTORY / "host" / "main.mjs"
_START_TIMEOUT_SECONDS = 120.0
_COMMAND_TIMEOUT_SECONDS = 20.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SDK = "workers-runtime-sdk"


class PyodideRuntime(NamedTuple):
    """A Python that Workers run on in production.

    `package` is the folder in node_modules, `python` the version that it brings, `since` the compatibility
    date from which on Workers get it.
    """

    package: str
    python: str
    since: str

    @property
    def name(self) -> str:
        """What people call it."""
        return self.package.replace("pyodide-", "Pyodide ")


RUNTIMES = (
    PyodideRuntime("pyodide-0.28", "3.13", "2025-09-29"),
    PyodideRuntime("pyodide-314", "3.14", "2026-09-08"),
)


class WorkerNotStarted(RuntimeError):
    """The Worker's modules cannot be imported, or cannot be in a memory snapshot; the message says why."""


class PyodideWorker:
    """A running Worker, restored from a memory snapshot that was taken after its import.

    `modules` is what `python_modules/` is in a deployment (see vendor_sdk). Raises WorkerNotStarted.
    """

    def __init__(
        self,
        runtime: PyodideRuntime,
        modules: Path,
        variables: Mapping[str, str],
        *,
        source: Path = SOURCE,
        kv: bool = True,
    ) -> None:
        self.log = LogBook()
        self._announced: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        options = {
            "pyodide": runtime.package,
            "source": str(source),
            "modules": str(modules),
            "variables": dict(variables),
            "kv": kv,
        }
        self._group = ProcessGroup(
            [newest_node(), str(_HOST), json.dumps(options)],
            cwd=_DIRECTORY,
            environment={**os.environ, "NODE_OPTIONS": "--stack-trace-limit=30", "NO_COLOR": "1"},
            on_line=self._hear,
            on_end=lambda: self._announced.put({}),
        )
        try:
            announcement = self._announced.get(timeout=_START_TIMEOUT_SECONDS)
        except queue.Empty:
            announcement = {}
        if "port" not in announcement:
            self.stop()
            raise WorkerNotStarted(announcement.get("error") or self.log.text())
        self.python: str = announcement["python"]
        self.base_url = f"http://127.0.0.1:{announcement['port']}"
        self._control_url = f"http://127.0.0.1:{announcement['control']}"

    @property
    def pid(self) -> int:
        """The id of the Node.js process."""
        return self._group.pid

    @property
    def openai_base_url(self) -> str:
        """What OpenAI clients are given as their base URL."""
        return f"{self.base_url}/v1"

    def scheduled(self) -> None:
        """Sends the cron event and waits for its handler."""
        self._command("scheduled")

    def kv_values(self) -> dict[str, str]:
        """What is stored in QWEN_KV."""
        values: dict[str, str] = self._command("kv")["values"]
        return values

    def fail_kv(self, message: str | None) -> None:
        """Makes every operation on QWEN_KV throw an Error, or none any more."""
        self._command("kv fail", message=message)

    def deploy(self, variables: Mapping[str, Any]) -> None:
        """Hands the Worker another `env` from now on: as before, with these variables (any JSON) added."""
        self._command("deploy", variables=dict(variables))

    def health(self) -> dict[str, Any]:
        """What /health says."""
        with _OPENER.open(f"{self.base_url}/health", timeout=_COMMAND_TIMEOUT_SECONDS) as response:
            health: dict[str, Any] = json.load(response)
        return health

    def background(self) -> list[str]:
        """Waits for all work under `waitUntil` so far; "done" or "failed: ..." for each."""
        outcomes: list[str] = self._command("background")
        return outcomes

    def unhandled(self) -> list[str]:
        """The promise rejections that nobody handled."""
        rejections: list[str] = self._command("unhandled")
        return rejections

    def run(self, code: str) -> Any:
        """Runs Python inside the Worker's interpreter; the value of the last line must be of JSON types."""
        return self._command("run", code=code)

    def stop(self) -> None:
        """Ends the process."""
        self._group.stop()

    def _command(self, name: str, **arguments: Any) -> Any:
        request = urllib.request.Request(
            self._control_url, json.dumps({"name": name, **arguments}).encode(), method="POST"
        )
        with _OPENER.open(request, timeout=_COMMAND_TIMEOUT_SECONDS) as response:
            return json.load(response)

    def _hear(self, line: str) -> None:
        with contextlib.suppress(ValueError):
            announcement = json.loads(line)
            if isinstance(announcement, dict) and ("port" in announcement or "error" in announcement):
                self._announced.put(announcement)
        self.log.add(line)


def vendor_sdk(directory: Path) -> Path:
    """Puts the Workers SDK into `directory` as `pywrangler sync` puts it into `python_modules/`.

    Copies the installed distribution: the version that the development dependencies pin.
    """
    for file in sdk_files():
        target = directory / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.locate(), target)
    return directory


def sdk_files() -> Iterator[importlib.metadata.PackagePath]:
    """The SDK's files, relative to the folder in which a distribution is installed."""
    for file in importlib.metadata.files(SDK) or ():
        if "__pycache__" not in file.parts and ".." not in file.parts:
            yield file
