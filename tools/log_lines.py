"""Makes what `wrangler tail --format=json` prints readable: one event a block, one log line a line.

An event is what one invocation of the Worker was and did (wrangler 4.164): `{"outcome", "event",
"eventTimestamp", "logs": [{"level", "message": [...], "timestamp"}], "exceptions": [{"name", "message"}]}`.
Our own log lines are JSON in the only part of a message: `{"level", "event", "request_id", ...fields}`.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_COLOURS = {"error": "31", "warning": "33", "info": "36", "debug": "2", "title": "1", "field": "2"}
_LEVELS = {"warn": "warning", "log": "info"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OUTCOMES = {
    "exceededCpu": "more CPU time than the plan allows",
    "exceededMemory": "more memory than an isolate has",
    "canceled": "the client has left",
    "responseStreamDisconnected": "the client has left in the middle of a stream",
    "exception": "an error that was not caught",
    "scriptNotFound": "there is no such Worker",
}
_GOOD = ("ok", "canceled", "responseStreamDisconnected")


def documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, each on one line or pretty-printed; what is none is left out."""
    held: list[str] = []
    for line in lines:
        text = line.rstrip("\r\n")
        if not held and not text.startswith("{"):
            continue
        held.append(text)
        if text.endswith("}") and (not text.startswith(" ")):
            document = _parsed("\n".join(held))
            held = []
            if isinstance(document, dict):
                yield document


class LogFormat(NamedTuple):
    """How events are shown: with `colours`, and only those of one request if there is a `request_id`."""

    colours: bool = False
    request_id: str | None = None

    def shown(self, event: dict[str, Any]) -> str | None:
        """An event as text, without line feed at its end; None if it is another request's."""
        lines = [_log_line(entry) for entry in _objects(event.get("logs"))]
        ids = {line.request_id for line in lines if line.request_id} | _ids_of(event)
        if self.request_id is not None and self.request_id not in ids:
            return None
        shown = [self._title(event, next((line.request_id for line in lines if line.request_id), ""))]
        shown += [self._line(line) for line in lines]
        shown += [
            self._line(_Line("error", f"{problem.get('name')}: {problem.get('message')}", {}, ""))
            for problem in _objects(event.get("exceptions"))
        ]
        return "\n".join(shown)

    def _title(self, event: dict[str, Any], request_id: str) -> str:
        outcome = str(event.get("outcome"))
        told = f"{outcome}: {_OUTCOMES[outcome]}" if outcome in _OUTCOMES else outcome
        colour = "title" if outcome in _GOOD else "error"
        parts = (_time_of(event.get("eventTimestamp")), _what(event.get("event")), told, request_id)
        return self._coloured(colour, "  ".join(_clean(part) for part in parts if part))

    def _line(self, line: _Line) -> str:
        fields = "  ".join(f"{name}={_text(value)}" for name, value in line.fields.items())
        level = self._coloured(line.level, f"{line.level:<7}")
        text = f"    {level}  {_clean(line.text)}"
        return f"{text}  {self._coloured('field', _clean(fields))}" if fields else text

    def _coloured(self, name: str, text: str) -> str:
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if self.colours and name in _COLOURS else text


class _Line(NamedTuple):
    level: str
    text: str
    fields: dict[str, Any]
    request_id: str


def _log_line(entry: dict[str, Any]) -> _Line:
    """A line that the Worker has logged, whoever has written it."""
    level = _LEVELS.get(str(entry.get("level")), str(entry.get("level")))
    message = entry.get("message")
    parts = message if isinstance(message, list) else [message]
    ours = _parsed(parts[0]) if len(parts) == 1 and isinstance(parts[0], str) else None
    if not isinstance(ours, dict) or not isinstance(ours.get("event"), str):
        return _Line(level, " ".join(_text(part) for part in parts), {}, "")
    fields = {name: value for name, value in ours.items() if name not in ("level", "event", "request_id")}
    return _Line(str(ours.get("level", level)), ours["event"], fields, str(ours.get("request_id") or ""))


def _ids_of(event: dict[str, Any]) -> set[str]:
    """What a request may be asked for by, besides the id in its log lines."""
    headers = _request_of(event).get("headers")
    if not isinstance(headers, dict):
        return set()
    return {str(headers[name]) for name in ("x-request-id", "cf-ray") if headers.get(name)}


def _request_of(event: dict[str, Any]) -> dict[str, Any]:
    what = event.get("event")
    request = what.get("request") if isinstance(what, dict) else None
    return request if isinstance(request, dict) else {}


def _what(what: Any) -> str:
    """What woke the Worker."""
    if not isinstance(what, dict):
        return "an event"
    if "cron" in what:
        return f"cron {what['cron']}"
    request = _request_of({"event": what})
    if not request:
        return "an event"
    path = re.sub(r"^[a-z]+://[^/]*", "", str(request.get("url"))).partition("?")[0] or "/"
    response = what.get("response")
    status = response.get("status", "") if isinstance(response, dict) else ""
    return f"{request.get('method')} {path}  {status}".rstrip()


def _time_of(timestamp_ms: Any) -> str:
    if not isinstance(timestamp_ms, int | float):
        return ""
    return time.strftime("%H:%M:%S", time.localtime(timestamp_ms / 1000))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clean(text: str) -> str:
    """Without what a terminal would obey."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
