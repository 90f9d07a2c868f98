"""What a deployment's memory snapshot refuses. Every other test here shows that it takes the Worker."""

from pathlib import Path

import pytest

from tests.production.pyodide_worker import RUNTIMES, PyodideRuntime, PyodideWorker, WorkerNotStarted

ENTRY = """
import random
import js
from js import Object, Response, fetch
from pyodide.ffi import to_js

{statement}

def on_fetch(*event):
    return Response.new("ok")
"""


def start(runtime: PyodideRuntime, modules: Path, directory: Path, statement: str) -> PyodideWorker:
    (directory / "entry.py").write_text(ENTRY.format(statement=statement))
    return PyodideWorker(runtime, modules, {}, source=directory)


@pytest.fixture(scope="module")
def newest() -> PyodideRuntime:
    """Both Pyodides have the same rules and each start takes seconds, so one of them is enough."""
    return RUNTIMES[-1]


@pytest.mark.parametrize("statement", ["KEPT = js.Object.new()", "KEPT = [to_js([1])]"])
def test_a_live_javascript_object_is_refused(
    newest: PyodideRuntime, python_modules: Path, tmp_path: Path, statement: str
) -> None:
    with pytest.raises(WorkerNotStarted, match=r"Can't serialize top-level variable: (Object|Array)"):
        start(newest, python_modules, tmp_path, statement)


def test_entropy_and_the_clock_are_refused(
    newest: PyodideRuntime, python_modules: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorkerNotStarted, match=r"random.random\(\) was called while the Worker was imported"):
        start(newest, python_modules, tmp_path, "KEPT = random.random()")


def test_what_can_be_found_again_is_accepted(
    newest: PyodideRuntime, python_modules: Path, tmp_path: Path
) -> None:
    worker = start(newest, python_modules, tmp_path, "KEPT = (Object.fromEntries, fetch, js)")

    kept = worker.run("import entry; entry.KEPT[0].name")
    worker.stop()

    assert kept == "fromEntries"
