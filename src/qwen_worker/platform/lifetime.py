"""Requests whose client has gone away, and what is left of them in Python.

The runtime ends such a request without a word: none of its tasks is ever resumed, no `finally` runs, and the
callbacks that its promises hold keep the tasks, their frames and all that those name for as long as the
isolate lives. So each request that waits has a timer, which beats until the runtime ends it. Requests that
have stopped beating are put away by a later one: the coroutines of all their tasks are closed.

What runs then runs within another request, where nothing of the runtime's that belonged to the dead one may
be used: `is_over` tells that.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import Any

from js import clearInterval, setInterval
from pyodide.ffi import create_proxy

BEAT_MS = 20_000
"""How often a request tells that it lives."""

SILENCE_MS = 60_000
"""A request that has not beaten for so long may be dead. It is when it has not by the next sweep either: when
the isolate was asleep, all timers are late.
"""

SWEEP_MS = 60_000
"""How often the dead are looked for, at most."""


class _Request:
    """The life of one request."""

    __slots__ = ("beat_ms", "is_over", "is_suspect", "timer")

    def __init__(self) -> None:
        self.beat_ms = _now_ms()
        self.is_suspect = False
        self.is_over = False
        self.timer: Any = None

    def beat(self) -> None:
        self.beat_ms = _now_ms()
        self.is_suspect = False


_current: ContextVar[_Request | None] = ContextVar("request", default=None)
"""The request that a task, or the callback of a timer, belongs to."""

_waiting: dict[int, _Request] = {}
_beat_proxy: Any = None
"""One proxy for all requests: a dead one could not give back its own."""
_swept_ms = 0


def begin(work: Coroutine[Any, Any, None]) -> None:
    """Does a request's work in a task of its own, at once as far as it goes without waiting."""
    request = _Request()
    task: asyncio.Task[None] = asyncio.Task(  # type: ignore[call-arg]
        _to_the_end(work, request), loop=asyncio.get_running_loop(), eager_start=True
    )
    if not task.done():
        _watch(request)
        _sweep_when_due(request.beat_ms)


def is_over() -> bool:
    """Whether the request that this code belongs to is dead, and only put away."""
    request = _current.get()
    return request is not None and request.is_over


async def _to_the_end(work: Coroutine[Any, Any, None], request: _Request) -> None:
    _current.set(request)  # in the context that the task has for itself
    await work
    if request.timer is not None:
        clearInterval(request.timer)
        _waiting.pop(id(request), None)


def _watch(request: _Request) -> None:
    global _beat_proxy
    if _beat_proxy is None:
        _beat_proxy = create_proxy(_beat)
    _waiting[id(request)] = request
    request.timer = setInterval(_beat_proxy, BEAT_MS, id(request))


def _beat(key: int) -> None:
    request = _waiting.get(key)
    if request is not None:
        request.beat()


def _sweep_when_due(now_ms: int) -> None:
    global _swept_ms
    if now_ms - _swept_ms >= SWEEP_MS:
        _swept_ms = now_ms
        sweep(now_ms)


def sweep(now_ms: int) -> None:
    """Puts away the requests that were suspects before, and makes suspects of those that are silent."""
    dead = False
    for key, request in list(_waiting.items()):
        if now_ms - request.beat_ms < SILENCE_MS:
            continue
        if request.is_suspect:
            request.is_over = dead = True
            del _waiting[key]
        request.is_suspect = True
    for task in asyncio.all_tasks() if dead else ():
        context = task.get_context()  # type: ignore[attr-defined]
        request_of_task = context.get(_current)
        if request_of_task is not None and request_of_task.is_over:
            _put_away(task, context)


def _put_away(task: Any, context: Context) -> None:
    """Closes a task's coroutine, and makes the future that it waits for forget it, for which asyncio has no
    public way. What is left is that future, and the callbacks of its promise.
    """
    future = getattr(task, "_fut_waiter", None)
    with suppress(Exception):
        context.run(task.get_coro().close)
    task._log_destroy_pending = False
    if future is not None:
        for callback, _ in getattr(future, "_callbacks", None) or ():
            future.remove_done_callback(callback)
        if hasattr(asyncio, "future_discard_from_awaited_by"):  # from Python 3.14 on
            asyncio.future_discard_from_awaited_by(future, task)


def _now_ms() -> int:
    return int(time.time() * 1000)
