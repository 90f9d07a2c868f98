"""What a deployment's memory snapshot refuses; that it takes the Worker, every other test here shows."""

from pathlib import Path

import pytest

from tests.production.pyodide_worker import PyodideRuntime, PyodideWorker, WorkerNotStarted

ENTRY = """
import os, random, time
import js
from js import Object, fetch
from pyodide.ffi import create_proxy, to_js
from workers import Response, WorkerEntrypoint

{statement}

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("ok")
"""


def start(runtime: PyodideRuntime, modules: Path, directory: Path, statement: str) -> PyodideWorker:
    (directory / "entry.py").write_text(ENTRY.format(statement=statement))
    return PyodideWorker(runtime, modules, {}, source=directory)


@pytest.mark.parametrize(
    "statement",
    ["KEPT = js.Object.new()", "KEPT = to_js([1])", "KEPT = create_proxy(print)", "KEPT = [js.Headers.new()]"],
)
def test_a_live_javascript_object_is_refused(
    runtime: PyodideRuntime, python_modules: Path, tmp_path: Path, statement: str
) -> None:
    with pytest.raises(WorkerNotStarted, match="Can't serialize top-level variable"):
        start(runtime, python_modules, tmp_path, statement)


@pytest.mark.parametrize("statement", ["KEPT = random.random()", "KEPT = os.urandom(8)", "KEPT = time.time()"])
def test_entropy_and_the_clock_are_refused(
    runtime: PyodideRuntime, python_modules: Path, tmp_path: Path, statement: str
) -> None:
    with pytest.raises(WorkerNotStarted, match="was called while the Worker was imported"):
        start(runtime, python_modules, tmp_path, statement)


def test_what_can_be_found_again_is_accepted(
    runtime: PyodideRuntime, python_modules: Path, tmp_path: Path
) -> None:
    worker = start(runtime, python_modules, tmp_path, "KEPT = (Object.fromEntries, fetch, js)")

    kept = worker.run("import entry; entry.KEPT[0].name")
    worker.stop()

    assert kept == "fromEntries"
