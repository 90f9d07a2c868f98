"""Structured logging: one JSON line per event, readable in `wrangler tail` and `make dev`.

Each line is `{"level", "event", "request_id"?, ...fields}`. Fields must never hold a secret, a prompt or a
completion: callers pass facts about them (present or not, seconds to expiry), never the things themselves.
"""

import json
from typing import Any

from qwen_worker.platform.ports import LogSink

_pieces_of: Any = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, str, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, False, True
)
"""What `json.dumps` makes at each call: an encoder of plain data. What is no JSON becomes text."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "silent": 100}


class Log:
    """A logger bound to one request (or to none: cron, start-up)."""

    __slots__ = ("_fields", "_request_id", "_sink", "_threshold")

    def __init__(self, sink: LogSink, level: str, request_id: str | None = None) -> None:
        self._sink = sink
        self._threshold = LEVELS[level]
        self._request_id = request_id
        self._fields: dict[str, Any] = {}

    def bound(self, **fields: Any) -> "Log":
        """The same logger, with these fields in each of its lines."""
        log = Log.__new__(Log)
        log._sink = self._sink
        log._threshold = self._threshold
        log._request_id = self._request_id
        log._fields = {**self._fields, **fields}
        return log

    @property
    def is_debug(self) -> bool:
        """Whether debug lines are wanted; asked before work that only they need."""
        return self._threshold <= 10

    def debug(self, event: str, **fields: Any) -> None:
        """For following one request."""
        if self._threshold <= 10:
            self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """For what an operator may want to know later."""
        if self._threshold <= 20:
            self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """For trouble that the gateway copes with or that Qwen causes."""
        if self._threshold <= 30:
            self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """For what the operator must mend."""
        if self._threshold <= 40:
            self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        line: dict[str, Any] = {"level": level, "event": event}
        if self._request_id is not None:
            line["request_id"] = self._request_id
        line.update(self._fields)
        line.update(fields)
        self._sink(level, "".join(_pieces_of(line, 0)))
