"""Promises that tasks await without Pyodide's futures, on the Pythons of production."""

from typing import Any

import pytest

from tests.production.pyodide_worker import PyodideWorker

SETUP = """
import asyncio
import js
from pyodide.ffi import JsException
from qwen_worker.platform.promises import NativePromise

def promise(text):
    return js.eval(f"[{text}]")[0]
"""


def run(worker: PyodideWorker, body: str) -> Any:
    """What an `async def` with this body returns, run in the Worker's interpreter."""
    lines = "\n    ".join(body.strip().splitlines())
    return worker.run(f"{SETUP}\nasync def check():\n    {lines}\ncheck()")


@pytest.mark.parametrize(
    "text",
    ["Promise.resolve({a: 1})", "new Promise((kept) => setTimeout(kept, 20, {a: 1}))"],
    ids=["at once", "late"],
)
def test_the_value_of_a_promise(worker: PyodideWorker, text: str) -> None:
    assert run(worker, f"return (await NativePromise(promise({text!r}))).a") == 1


def test_a_promise_without_a_value(worker: PyodideWorker) -> None:
    body = 'return (await NativePromise(promise("Promise.resolve()"), has_value=False)) is None'

    assert run(worker, body) is True


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("new TypeError('no')", "TypeError"),
        ("new DOMException('stopped', 'AbortError')", "AbortError"),
        ("undefined", "Error"),
        ("'a text'", "Error"),
    ],
)
def test_a_broken_promise_raises(worker: PyodideWorker, reason: str, name: str) -> None:
    body = f"""
try:
    await NativePromise(promise("Promise.reject({reason})"))
except JsException as error:
    return error.name
"""
    assert run(worker, body) == name


def test_a_task_that_awaits_can_be_cancelled_and_the_promise_may_settle_later(worker: PyodideWorker) -> None:
    body = """
states = []
async def wait():
    late = "new Promise((kept, broken) => setTimeout(broken, 20, new Error('late')))"
    try:
        await NativePromise(promise(late))
    except asyncio.CancelledError:
        states.append("cancelled")
        raise
task = asyncio.ensure_future(wait())
await asyncio.sleep(0)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    states.append("ended")
await asyncio.sleep(0.05)
return " ".join(states)
"""
    assert run(worker, body) == "cancelled ended"


def test_a_promise_that_never_settles_holds_only_its_own_task(worker: PyodideWorker) -> None:
    body = """
async def wait():
    await NativePromise(promise("new Promise(() => {})"))
waiting = asyncio.ensure_future(wait())
await asyncio.sleep(0.02)
answered = (await NativePromise(promise("Promise.resolve({a: 2})"))).a
was_waiting = not waiting.done()
waiting.cancel()
await asyncio.sleep(0.02)
return [was_waiting, answered, waiting.cancelled()] == [True, 2, True]
"""
    assert run(worker, body) is True


def test_the_task_goes_on_within_the_context_that_it_has(worker: PyodideWorker) -> None:
    body = """
import contextvars
variable = contextvars.ContextVar("variable", default=0)
async def wait(number):
    variable.set(number)
    await NativePromise(promise("new Promise((kept) => setTimeout(kept, 10, {}))"))
    return variable.get()
return await asyncio.gather(wait(1), wait(2)) == [1, 2] and variable.get() == 0
"""
    assert run(worker, body) is True
