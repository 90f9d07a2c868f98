"""What a Worker has logged."""

import json
import re
import threading
from collections.abc import Callable
from typing import Any

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class LogBook:
    """The lines that a Worker prints, collected while it runs. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()

    def add(self, line: str) -> None:
        """Notes one line."""
        with self._changed:
            self._lines.append(_COLOUR.sub("", line))
            self._changed.notify_all()

    def lines(self) -> list[str]:
        """All lines so far, in the order in which they came."""
        with self._changed:
            return list(self._lines)

    def text(self) -> str:
        """All lines so far as one text, to look for what must not be in it, or to show in a failure."""
        return "\n".join(self.lines())

    def events(self, name: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """The Worker's own log events so far: those called `name`, if given, that have all these `fields`."""
        found = (_event(line) for line in self.lines())
        return [
            event
            for event in found
            if event is not None
            and name in (None, event.get("event"))
            and all(event.get(key) == value for key, value in fields.items())
        ]

    def wait_for(self, name: str, timeout_seconds: float = 5.0, **fields: Any) -> dict[str, Any]:
        """The first event called `name` that has these `fields`, as soon as it is there.

        Raises TimeoutError, with everything logged so far, if it does not come.
        """
        self._wait(
            lambda: bool(self.events(name, **fields)), timeout_seconds, f"event {name!r} with {fields}"
        )
        return self.events(name, **fields)[0]

    def wait_for_text(self, text: str, timeout_seconds: float = 5.0) -> None:
        """Returns as soon as a line holds `text`. Raises TimeoutError as `wait_for` does."""
        self._wait(lambda: text in self.text(), timeout_seconds, f"line with {text!r}")

    def _wait(self, condition: Callable[[], bool], timeout_seconds: float, awaited: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout_seconds):
                raise TimeoutError(f"no {awaited} was logged; the log:\n{self.text()}")


def _event(line: str) -> dict[str, Any] | None:
    """The log event in a line: a JSON object, to which wrangler may have given a prefix such as "[ERROR]"."""
    start = line.find("{")
    try:
        event = json.loads(line[start:]) if start >= 0 else None
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
