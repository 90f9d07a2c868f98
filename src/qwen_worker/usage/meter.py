"""Counts one request: when Qwen begins to answer, and at the end, unless the client has gone away before.

A client that goes away takes its request with it, so what must be counted then is counted at the beginning.
Nothing here waits.
"""

from typing import TYPE_CHECKING, Any

from qwen_worker.config.client_keys import ClientKey
from qwen_worker.errors import ProxyError
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime
from qwen_worker.usage.counters import OTHER, Row, billed_changes, utc_day, utc_hour
from qwen_worker.usage.ledger import Ledger
from qwen_worker.usage.tokens_told import tokens_told

if TYPE_CHECKING:
    from qwen_worker.usage.estimates import RequestSample

_LONGEST_MODEL = 80


class Meter:
    """One request of a client to one API."""

    __slots__ = (
        "_api",
        "_began_ms",
        "_beginning",
        "_client",
        "_ledger",
        "_lent",
        "_log",
        "_model",
        "_row",
        "_runtime",
        "_samples",
        "inputs",
        "is_stream",
    )

    def __init__(self, ledger: Ledger, client: ClientKey, api: str, runtime: Runtime, log: Log) -> None:
        self._ledger = ledger
        self._client = client
        self._api = api
        self._runtime = runtime
        self._log = log
        self._began_ms = runtime.clock.now_ms()
        self._beginning: dict[str, int] = {}
        """What is counted together with the end."""
        self._model = ""
        self._row: Row | None = None
        self._samples: list[RequestSample] = []
        self._lent = 0
        self.is_stream = False
        self.inputs = 0
        """How many texts are to be embedded."""

    def asked(self, model: str, *, is_known: bool, is_stream: bool) -> None:
        """Notes what the request asks for. Models that are neither configured (`is_known`) nor have ever
        answered are counted together, as OTHER.
        """
        self._model = model if is_known or model in self._ledger.models else OTHER
        self.is_stream = is_stream

    def answered(self, account: str, model: str, body: bytes, *, is_whole: bool = False) -> None:
        """Notes that an account has begun to answer this body. If several answer parts of a request, the
        first one counts. `is_whole`: the answer is there, and `ended` is called next.
        """
        row = self._row
        if row is None:
            waited_ms = self._runtime.clock.now_ms() - self._began_ms
            model = model[:_LONGEST_MODEL]
            row = self._row = self._new_row(account, model if self._ledger.knows_model(model) else OTHER)
            beginning = {"requests": 1, "first_byte_ms": waited_ms}
            if self.is_stream:
                beginning["streams"] = 1
            if self.inputs:
                beginning["inputs"] = self.inputs
            if is_whole:
                self._beginning = beginning
            else:
                self._add(row, beginning)
        if self.is_stream or self._client.tokens_per_day is not None:
            from qwen_worker.usage.estimates import estimated_input, sample_of

            sample = sample_of(body)
            self._samples.append(sample)
            if self._client.tokens_per_day is not None:
                # Counted now, since a client that always hangs up would never reach its limit otherwise.
                lent = estimated_input(sample)
                self._lent += lent
                self._add(row, {"estimated_input_tokens": lent})

    def ended(
        self, error: ProxyError | None, usage: dict[str, Any] | None, kept: bytes, size_bytes: int
    ) -> None:
        """The answer, of `size_bytes`, has ended. `kept` is its end; needed if the host tells no usage."""
        row = self._row
        if row is None:
            if error is not None:
                self.failed(error)
            return
        told = tokens_told(usage)
        changes = self._beginning | {
            "completed" if error is None else f"{_class_of(error)}_errors": 1,
            "duration_ms": self._runtime.clock.now_ms() - self._began_ms,
            "input_tokens": told.input or 0,
            "output_tokens": told.output or 0,
        }
        if told.cached:
            changes["cached_tokens"] = told.cached
        if told.reasoning:
            changes["reasoning_tokens"] = told.reasoning
        if told.input is None or told.output is None or self._lent:
            from qwen_worker.usage.estimates import estimated_input, estimated_output

            if told.input is not None:
                changes["estimated_input_tokens"] = -self._lent
            elif not self._lent:
                changes["estimated_input_tokens"] = sum(map(estimated_input, self._samples))
            if told.output is None:
                changes["estimated_output_tokens"] = estimated_output(kept, size_bytes)
        self._add(row, changes)
        self._write_soon()

    def failed(self, error: ProxyError) -> None:
        """The request has been answered with an error."""
        duration_ms = self._runtime.clock.now_ms() - self._began_ms
        row, changes = self._row, {f"{_class_of(error)}_errors": 1, "duration_ms": duration_ms}
        if row is None:
            row = self._row = self._new_row(error.account or "", self._model[:_LONGEST_MODEL])
            changes["requests"] = 1
            changes["streams"] = int(self.is_stream)
        self._add(row, changes)
        self._write_soon()

    def _new_row(self, account: str, model: str) -> Row:
        began_ms = self._began_ms
        return Row(utc_day(began_ms), self._client.label, utc_hour(began_ms), model, account, self._api)

    def _add(self, row: Row, changes: dict[str, int]) -> None:
        runtime = self._runtime
        if self._client.tokens_per_day is not None:
            budget = self._ledger.budget(row.client, runtime.clock.now_ms())
            if budget.day == row.day:
                budget.unwritten += billed_changes(changes)
        if runtime.database is not None:
            self._ledger.counters.add(row, changes)

    def _write_soon(self) -> None:
        """Has the counts written. Not while a stream lasts: work in the background keeps the request going,
        and Qwen generating, when the client has gone away.
        """
        runtime = self._runtime
        if runtime.database is not None and not self._ledger.job.is_held(runtime.clock.now_ms()):
            from qwen_worker.usage.writer import write_soon

            write_soon(self._ledger, runtime, self._log)


def _class_of(error: ProxyError) -> str:
    """The class that usage counts the error in: by whose fault it is."""
    if error.status == 429:
        return "limit"
    if error.status < 500:
        return "client"
    return "upstream" if error.status in (502, 504) else "gateway"
