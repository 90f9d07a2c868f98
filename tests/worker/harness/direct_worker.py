"""A Worker on one workerd process, without wrangler's front proxy.

That proxy costs time, and turns a broken connection into a clean end. So here is where broken connections, KV
in every state and many short-lived Workers are tested, and where the benchmark measures.
"""

import json
import os
import queue
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import httpx

from tests.worker.harness.logs import LogBook
from tools.network import NotReady
from tools.processes import ProcessGroup
from tools.repository import EMBEDDED_RUNTIME, SOURCE
from tools.worker_config import local_config

_HOST = Path(__file__).parent / "direct_host.mjs"
_START_TIMEOUT_SECONDS = 30.0

KvOperationName = Literal["get", "put", "delete"]


class KvOperation(TypedDict):
    """One call that the Worker made on its KV namespace."""

    operation: KvOperationName
    key: str


class KvError(TypedDict):
    """The error that an operation throws: its message, and how often (-1: every time)."""

    message: str
    times: NotRequired[int]


@dataclass(frozen=True)
class KvFaults:
    """What is wrong with the KV namespace.

    `delays_ms` holds an operation back before anything else. `stale` makes reads go on seeing what a key held
    before its first write under this fault, as a distant location does.
    """

    errors: Mapping[KvOperationName, KvError] = field(default_factory=dict)
    delays_ms: Mapping[KvOperationName, int] = field(default_factory=dict)
    stale: bool = False

    def as_json(self) -> dict[str, Any]:
        """The faults as faulty_kv.mjs reads them."""
        errors = {name: {"times": -1, **error} for name, error in self.errors.items()}
        return {"errors": errors, "delaysMs": dict(self.delays_ms), "stale": self.stale}


class Module(TypedDict):
    """A module of a Worker; `path` is its name, relative to the entry module, which comes first."""

    type: Literal["PythonModule", "ESModule"]
    path: str
    contents: str


def python_modules(source: Path, entry: str = "entry.py") -> list[Module]:
    """The modules of a Python Worker whose entry module lies in `source`."""
    files = sorted(source.rglob("*.py"), key=lambda file: (file != source / entry, file))
    return [
        Module(type="PythonModule", path=file.relative_to(source).as_posix(), contents=file.read_text())
        for file in files
    ]


def javascript_module(contents: str) -> list[Module]:
    """The modules of a JavaScript Worker that is one module."""
    return [Module(type="ESModule", path="entry.mjs", contents=contents)]


class DirectWorker:
    """A running Worker.

    `base_url` is its origin, `pid` the id of its workerd process, `log` what it prints. Its KV namespace
    and its D1 database start empty, unless they persist in the folder `state`; with `faulty_kv` and a faulty
    `database` they can be made to misbehave. `rate_limits`: bindings by name, each with its requests a
    minute.
    Raises NotReady when it does not start. Use `direct_worker` or a fixture, which stop it.
    """

    def __init__(
        self,
        variables: Mapping[str, str] | None = None,
        *,
        modules: Sequence[Module] | None = None,
        state: Path | None = None,
        faulty_kv: bool = False,
        database: Literal["real", "faulty", "missing"] = "real",
        rate_limits: Mapping[str, int] | None = None,
        port: int = 0,
    ) -> None:
        self.log = LogBook()
        self._directory = Path(tempfile.mkdtemp(prefix="qwen-worker-"))
        config = local_config(SOURCE, variables or {})
        self._ready: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._group = ProcessGroup(
            [shutil.which("node") or "node", str(_HOST)],
            cwd=self._directory,
            environment=os.environ,
            on_line=self._hear,
            on_end=lambda: self._ready.put(None),
        )
        try:
            ready = self._start(
                {
                    "runtime": str(EMBEDDED_RUNTIME / "package.json"),
                    "modules": _rooted(modules if modules is not None else python_modules(SOURCE)),
                    "compatibilityDate": config["compatibility_date"],
                    "compatibilityFlags": config["compatibility_flags"],
                    "variables": config["vars"],
                    "kvBinding": config["kv_namespaces"][0]["binding"],
                    "faultyKv": faulty_kv,
                    "database": database,
                    "rateLimits": dict(rate_limits or {}),
                    "databaseBinding": config["d1_databases"][0]["binding"],
                    "state": None if state is None else str(state),
                    "port": port,
                }
            )
            self.base_url: str = ready["url"]
            self.pid: int = ready["pid"]
            self._control_url: str = ready["controlUrl"]
            self._database_url: str = ready["databaseUrl"]
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

    def kv_get(self, key: str) -> str | None:
        """The value of a key in the KV namespace behind the Worker's binding, faults aside."""
        value: str | None = self._command("get", key=key)
        return value

    def kv_put(self, key: str, value: str) -> None:
        """Sets a key in the KV namespace, faults aside."""
        self._command("put", key=key, value=value)

    def kv_delete(self, key: str) -> None:
        """Removes a key from the KV namespace, faults aside."""
        self._command("delete", key=key)

    def kv_keys(self) -> list[str]:
        """The keys in the KV namespace."""
        keys: list[str] = self._command("keys")
        return keys

    def set_kv_faults(self, faults: KvFaults) -> None:
        """Makes the KV namespace misbehave from now on and forgets `kv_operations`. Needs `faulty_kv`."""
        self._command("faults", **faults.as_json())

    def kv_operations(self) -> list[KvOperation]:
        """What the Worker has asked of KV since the last `set_kv_faults`. Needs `faulty_kv`."""
        operations: list[KvOperation] = self._command("operations")
        return operations

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query in the database behind the Worker's binding, faults aside."""
        rows: list[dict[str, Any]] = self._command("query", to=self._database_url, sql=sql)
        return rows

    def set_database_faults(self, *, error: str | None = None, delay_ms: int = 0) -> None:
        """Makes the database fail with this message, or slow, from now on. Needs the database "faulty"."""
        self._command("faults", to=self._database_url, error=error, delayMs=delay_ms)

    def database_calls(self) -> list[str]:
        """The statements that the Worker has asked for since the last `set_database_faults`."""
        calls: list[str] = self._command("calls", to=self._database_url)
        return calls

    def stop(self) -> None:
        """Ends the Worker and every process it started."""
        self._group.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, setup: dict[str, Any]) -> dict[str, Any]:
        self._group.send(json.dumps(setup))
        try:
            ready = self._ready.get(timeout=_START_TIMEOUT_SECONDS)
        except queue.Empty:
            ready = None
        if ready is None:
            raise NotReady(f"the Worker did not start; it printed:\n{self.log.text()}")
        return ready

    def _command(self, command: str, *, to: str | None = None, **parameters: Any) -> Any:
        message = {"command": command, "parameters": parameters}
        response = httpx.post(to or self._control_url, json=message, timeout=10.0, trust_env=False)
        if response.status_code != 200:
            raise RuntimeError(f"{command} failed: {response.status_code} {response.text}; {self.log.text()}")
        return response.json()

    def _hear(self, line: str) -> None:
        message = _host_message(line)
        if message is None:
            self.log.add(line)
        elif "log" in message:
            self.log.add(message["log"])
        else:
            self._ready.put(message["ready"])


@contextmanager
def direct_worker(variables: Mapping[str, str] | None = None, **options: Any) -> Iterator[DirectWorker]:
    """A DirectWorker for the length of a `with` block."""
    worker = DirectWorker(variables, **options)
    try:
        yield worker
    finally:
        worker.stop()


def _host_message(line: str) -> dict[str, Any] | None:
    """What the host says in a line; None for a line that is not its own (a crash of Node.js)."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _rooted(modules: Sequence[Module]) -> list[dict[str, str]]:
    """The modules with paths under miniflare's `modulesRoot`."""
    return [
        {"type": module["type"], "path": f"/{module['path']}", "contents": module["contents"]}
        for module in modules
    ]
