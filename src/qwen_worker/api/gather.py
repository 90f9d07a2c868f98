"""One request that takes several calls to Qwen: asked some at a time, answered together."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from qwen_worker.api.context import Context
from qwen_worker.api.proxy import Journey
from qwen_worker.dialect import Completion
from qwen_worker.errors import UpstreamUnavailable
from qwen_worker.upstream.call import Call
from qwen_worker.upstream.whole_answer import WholeAnswer

T = TypeVar("T")

AT_ONCE = 6
"""How many calls wait for their answers at a time: as many connections as Workers let a request open."""


class Gathering:
    """The calls of one request, none of which asks for a stream."""

    def __init__(self, calls: Sequence[Call], context: Context) -> None:
        self._journeys = [Journey(call, context) for call in calls]
        self.headers: dict[str, str] = {}
        """What a response tells of the first answer and of who gave it; complete after `answers`."""

    async def answers(self, take: Callable[[int, WholeAnswer], T]) -> list[T]:
        """What `take` makes of each whole answer, given the call's number, in the order of the calls.

        Raises the first ProxyError of a call or of `take`, and gives the other calls up then.
        """
        taken: list[T | None] = [None] * len(self._journeys)
        waiting = iter(enumerate(self._journeys))

        async def ask_one_by_one() -> None:
            for number, journey in waiting:
                opened = await journey.ask()
                journey.count_beginning()
                answer = cast(WholeAnswer, opened.content)
                if answer.rest is not None:
                    opened.answer.cancel()
                    raise UpstreamUnavailable("Qwen's answer is larger than this gateway puts together.")
                taken[number] = take(number, answer)
                if number == 0:
                    self.headers = journey.headers(opened)

        if len(self._journeys) == 1:
            await ask_one_by_one()
            return cast("list[T]", taken)
        tasks = [asyncio.ensure_future(ask_one_by_one()) for _ in self._journeys[:AT_ONCE]]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return cast("list[T]", taken)

    def log_end(self, completion: Completion, size_bytes: int) -> None:
        """The one line that tells what became of the request."""
        self._journeys[0].log_end("completion ended", completion, size_bytes)
        self._journeys[0].count(completion, b"", size_bytes)


def summed_usage(usages: Iterable[Any]) -> dict[str, Any] | None:
    """The token counts of several answers, added up at every level; None if no host tells any."""
    total: dict[str, Any] = {}
    for usage in usages:
        for name, count in usage.items() if isinstance(usage, dict) else ():
            so_far = total.get(name)
            if isinstance(count, dict):
                total[name] = summed_usage((so_far, count))
            elif isinstance(count, int | float) and isinstance(so_far, int | float):
                total[name] = so_far + count
            else:
                total[name] = count
    return total or None
