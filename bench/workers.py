"""The Workers that are measured, each in one workerd process, without a proxy in front."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.client import CLIENT_KEY
from bench.load import Measured
from tools.network import free_port
from tools.repository import EMBEDDED_RUNTIME, ROOT, SOURCE

YARDSTICKS = Path(__file__).parent / "yardsticks"
_WORKERD = "node_modules/@cloudflare/workerd-*/bin/workerd"
UPSTREAM_KEY = "bench-api-key"


class Workerd(NamedTuple):
    """A version of the runtime."""

    binary: Path
    compatibility_date: str

    @property
    def version(self) -> str:
        """As workerd tells it."""
        command = [str(self.binary), "--version"]
        version: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return version.strip()


EMBEDDED = Workerd(next(EMBEDDED_RUNTIME.glob(_WORKERD)), "2024-11-06")
CURRENT = next((Workerd(binary, "2026-09-08") for binary in ROOT.glob(_WORKERD)), None)
"""The workerd of the wrangler that deploys; None where it is not installed. Runs Python only after a
download.
"""


class Subject(NamedTuple):
    """A Worker to measure: the modules by name, the entry module first."""

    name: str
    modules: dict[str, Path]
    workerd: Workerd = EMBEDDED
    messages: str | None = None
    """How its account is asked for Messages."""


def our_worker(name: str, entry: str) -> Subject:
    """Our Worker behind one of the entry modules in `entries/`."""
    modules = {"bench_entry.py": Path(__file__).parent / "entries" / entry}
    modules |= {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
    return Subject(name, modules)


OURS_B = our_worker("ours (B)", "identity_streams.py")
OURS_D = our_worker("ours (D)", "standard_streams.py")
LIMIT = Subject("limit: JavaScript, passes on", {"limit.mjs": YARDSTICKS / "limit.mjs"})
PARSING = Subject("JavaScript, parses", {"parsing.mjs": YARDSTICKS / "parsing.mjs"})
PASSING = Subject("Python, passes on", {"passing.py": YARDSTICKS / "passing.py"})
RELAY = Subject("B's pipes in JavaScript", {"relay.mjs": YARDSTICKS / "relay.mjs"})
EMPTY = Subject("empty Python Worker", {"empty.py": YARDSTICKS / "empty.py"})


def variables_for(upstream_port: int) -> dict[str, str]:
    """What every Worker is configured with."""
    return {
        "QWEN_API_KEY": UPSTREAM_KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
        "OPENAI_API_KEY": CLIENT_KEY,
    }


class RunningWorker(Measured):
    """A workerd process."""

    def __init__(self, subject: Subject, process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
        super().__init__(subject.name, port, process.pid)
        self.process = process
        self.folder = folder

    def output(self) -> str:
        """What it printed."""
        return (self.folder / "output").read_text(errors="replace")


def spawn(subject: Subject, upstream_port: int) -> RunningWorker:
    """Starts a Worker without waiting for it; its port accepts connections when it is ready."""
    folder = Path(tempfile.mkdtemp(prefix="qwen-bench-"))
    port = free_port()
    (folder / "config.capnp").write_text(_config(subject, port, upstream_port, folder))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [subject.workerd.binary, "serve", "config.capnp", "--experimental"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return RunningWorker(subject, process, port, folder)


def stop(worker: RunningWorker) -> None:
    """Ends the process."""
    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait()
    shutil.rmtree(worker.folder, ignore_errors=True)


@contextmanager
def running(*subjects: Subject, upstream_port: int) -> Iterator[list[RunningWorker]]:
    """The Workers of `subjects`, ready, for the length of a `with` block."""
    workers = [spawn(subject, upstream_port) for subject in subjects]
    try:
        for worker in workers:
            _wait_until_ready(worker)
        yield workers
    finally:
        for worker in workers:
            stop(worker)


@contextmanager
def upstream() -> Iterator[int]:
    """bench.upstream in its own process; the value is its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _wait_until_ready(worker: RunningWorker) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and worker.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", worker.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{worker.name} did not start:\n{worker.output()}")


def _config(subject: Subject, port: int, upstream_port: int, folder: Path) -> str:
    """The configuration of workerd (https://github.com/cloudflare/workerd, workerd.capnp)."""
    modules = []
    for name, path in subject.modules.items():
        kind = "pythonModule" if name.endswith(".py") else "esModule"
        target = folder / "modules" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        modules.append(f'(name = "{name}", {kind} = embed "modules/{name}")')
    is_python = next(iter(subject.modules)).endswith(".py")
    variables = variables_for(upstream_port)
    if subject.messages is not None:
        variables["QWEN_API_KEY"] = json.dumps({"api_key": UPSTREAM_KEY, "messages": subject.messages})
    bindings = [f'(name = "{name}", text = {json.dumps(value)})' for name, value in variables.items()]
    return f"""using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")]
);
const worker :Workerd.Worker = (
  modules = [{", ".join(modules)}],
  bindings = [{", ".join(bindings)}],
  compatibilityDate = "{subject.workerd.compatibility_date}",
  compatibilityFlags = [{'"python_workers"' if is_python else ""}]
);
"""
