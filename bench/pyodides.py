"""Workers on production's Pyodides in Node.js, and JavaScript Workers on the same host."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.load import Measured
from bench.workers import PASSING, Subject, variables_for
from tests.production.pyodide_worker import RUNTIMES, PyodideRuntime, PyodideWorker, vendor_sdk
from tools.repository import ROOT, SOURCE

_HOST = Path(__file__).parent / "javascript_host.mjs"
_NODE = shutil.which("node") or "node"


def installed() -> list[PyodideRuntime]:
    """The Pyodides that are there (`tools/setup_environment.py --production` installs them)."""
    modules = ROOT / "tests" / "production" / "node_modules"
    return [runtime for runtime in RUNTIMES if (modules / runtime.package).is_dir()]


class NodeProcess(Measured):
    """A Worker in Node.js. Its CPU is that of the main thread: garbage is collected and JavaScript compiled
    in others, and how much of that falls into a round is chance.
    """

    def cpu_seconds(self) -> float:
        """CPU time of the main thread so far (the kernel's documentation, sched-stats)."""
        statistics = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text()
        return int(statistics.split()[0]) / 1e9


@contextmanager
def passing_and_ours(runtime: PyodideRuntime, upstream_port: int) -> Iterator[tuple[Measured, Measured]]:
    """The Worker that passes on, and ours, each in a process of its own with this Pyodide."""
    with tempfile.TemporaryDirectory(prefix="qwen-bench-") as folder, ExitStack() as stack:
        modules = vendor_sdk(Path(folder) / "modules")
        passing = Path(folder) / "passing"
        passing.mkdir()
        shutil.copyfile(PASSING.modules["passing.py"], passing / "entry.py")

        def start(name: str, source: Path) -> NodeProcess:
            worker = PyodideWorker(runtime, modules, variables_for(upstream_port), source=source, kv=False)
            stack.callback(worker.stop)
            return NodeProcess(name, int(worker.base_url.rpartition(":")[2]), worker.pid)

        yield start(PASSING.name, passing), start("ours (B)", SOURCE)


@contextmanager
def javascript(*subjects: Subject, upstream_port: int) -> Iterator[list[Measured]]:
    """JavaScript Workers, each in a process of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(_javascript(subject, upstream_port)) for subject in subjects]


@contextmanager
def _javascript(subject: Subject, upstream_port: int) -> Iterator[Measured]:
    (module,) = subject.modules.values()
    options = json.dumps({"module": str(module), "variables": variables_for(upstream_port)})
    with subprocess.Popen(
        [_NODE, str(_HOST), options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield NodeProcess(subject.name, json.loads(process.stdout.readline())["port"], process.pid)
