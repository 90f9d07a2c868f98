"""What may go wrong (or just differ) in one answer, as a value that a test selects.

A `Fault` describes one answer. A `Simulation` says which fault each attempt of a logical request gets; it
is what the field `simulate` of a chat request holds. Both are parsed from JSON and refuse what they do not
know, so that a typing error in a test cannot pass for a healthy answer. The README lists every field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from tests.simulator.json_types import JsonObject, JsonValue, as_object
from tests.simulator.named_faults import NAMED_FAULTS
from tests.simulator.sse import NEWLINES


class SimulationError(ValueError):
    """A fault description that the simulator does not understand; its text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a function; `arguments` is the text sent, which need not be valid JSON."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One answer's deviations from a healthy one; the defaults describe the healthy answer.

    Times are milliseconds. `*_after` counts the events already sent, the role chunk included (in an answer
    without a stream: the bytes); a place beyond the end of the answer means its end. Fields that only matter
    to the token endpoint stand last.
    """

    name: str | None = None

    status: int | None = None
    body: JsonValue = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    reset_in_seconds: float = 120.0

    delay_before_headers_ms: float = 0.0
    delay_before_first_chunk_ms: float = 0.0
    chunk_delay_ms: float | None = None

    abort_before_headers: bool = False
    abort_after: int | None = None
    reset: bool = False
    end_after: int | None = None
    stall_after: int | None = None
    stall_ms: float | None = None

    error: str | None = None
    error_text: str | None = None
    error_finish_after: int | None = None
    error_event_after: int | None = None
    error_data_after: int | None = None
    done_after_error: bool = False

    raw: tuple[str, ...] | None = None
    prelude: str = ""
    text: tuple[str, ...] | None = None
    reasoning: tuple[str, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    chunks: int | None = None
    burst: int | None = None
    endless: bool = False
    delta_bytes: int | None = None
    finish_reason: str | None = None

    json_instead_of_sse: bool = False
    no_done: bool = False
    no_finish_reason: bool = False
    always_usage: bool = False
    no_usage: bool = False
    cumulative: bool = False
    null_tool_names: bool = False
    tool_index: str = "right"

    newline: str = "lf"
    no_space: bool = False
    bom: bool = False
    multi_line: bool = False
    id_lines: bool = False
    event_lines: bool = False
    comment_every: int = 0
    split_bytes: int | None = None
    write_delay_ms: float = 0.0

    omit: tuple[str, ...] = ()
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    spend_refresh_token: bool = False

    @property
    def replaces_answer(self) -> bool:
        """Whether the answer is the given status and body and not a completion or a token."""
        return self.status is not None or self.body is not None

    @property
    def label(self) -> str | None:
        """What to call the fault in a record: its name, `custom`, or None for the healthy answer."""
        return None if self == HEALTHY else self.name or "custom"

    @property
    def events_needed(self) -> int:
        """How many events a stream must have for the fault to show."""
        places = (
            self.abort_after,
            self.end_after,
            self.stall_after,
            self.error_finish_after,
            self.error_event_after,
            self.error_data_after,
        )
        return max(place or 0 for place in places)

    @classmethod
    def from_json(cls, description: JsonValue) -> Fault:
        """Build a fault from the name of a ready-made one or from an object of fields (which may hold a
        `name`).

        Raises SimulationError for an unknown name or field and for a value of the wrong type.
        """
        if isinstance(description, str):
            description = {"name": description}
        if not isinstance(description, dict):
            raise SimulationError("a fault is a name or an object")
        return cls(**_parsed(_with_named_fields(description)))


HEALTHY = Fault()


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The faults of one logical request, attempt by attempt.

    `sequence` gives the first attempts their faults and `then` all later ones. `key` names the logical
    request for the count of attempts (default: its x-request-id). `only_for` restricts the faults to some
    credentials: access tokens, API keys or names of logins.
    """

    sequence: tuple[Fault, ...] = ()
    then: Fault = HEALTHY
    key: str | None = None
    only_for: tuple[str, ...] = ()

    def fault_of_attempt(self, attempt: int) -> Fault:
        """Return the fault of an attempt; the first attempt is 1."""
        return self.sequence[attempt - 1] if attempt <= len(self.sequence) else self.then

    @classmethod
    def from_json(cls, description: JsonValue) -> Simulation:
        """Build a simulation from the value of `simulate`.

        That is a fault (all attempts), a fault with `fail_first: K` (the first K attempts, then `then` or a
        healthy answer), or an object with a `sequence` of faults; any may have `key` and `only_for`. Raises
        SimulationError.
        """
        if not isinstance(description, dict):
            return cls(then=Fault.from_json(description))
        rest = dict(description)
        key = rest.pop("key", None)
        if key is not None and not isinstance(key, str):
            raise SimulationError("key: expected a string")
        only_for = _strings(rest.pop("only_for", []), "only_for")
        then = Fault.from_json(rest.pop("then", {}))
        fail_first = rest.pop("fail_first", None)
        sequence = rest.pop("sequence", None)
        if sequence is not None:
            if not isinstance(sequence, list) or rest or fail_first is not None:
                raise SimulationError("sequence: expected an array of faults, with no other fault beside it")
            faults = tuple(Fault.from_json(item) for item in sequence)
            return cls(sequence=faults, then=then, key=key, only_for=only_for)
        fault = Fault.from_json(rest)
        if fail_first is None:
            return cls(then=fault, key=key, only_for=only_for)
        count = _integer(fail_first, "fail_first")
        return cls(sequence=(fault,) * count, then=then, key=key, only_for=only_for)


def _with_named_fields(description: JsonObject) -> JsonObject:
    name = description.get("name")
    if name is None:
        return description
    if not isinstance(name, str) or name not in NAMED_FAULTS:
        raise SimulationError(f"name: no fault is called {name!r}")
    return {**NAMED_FAULTS[name], **description}


def _parsed(description: JsonObject) -> dict[str, Any]:
    unknown = description.keys() - _PARSERS.keys()
    if unknown:
        raise SimulationError(f"unknown field: {', '.join(sorted(unknown))}")
    return {name: _PARSERS[name](value, name) for name, value in description.items() if value is not None}


def _anything(value: JsonValue, name: str) -> JsonValue:
    return value


def _integer(value: JsonValue, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise SimulationError(f"{name}: expected an integer of at least 0")


def _number(value: JsonValue, name: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise SimulationError(f"{name}: expected a number of at least 0")


def _boolean(value: JsonValue, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise SimulationError(f"{name}: expected true or false")


def _string(value: JsonValue, name: str) -> str:
    if isinstance(value, str):
        return value
    raise SimulationError(f"{name}: expected a string")


def _strings(value: JsonValue, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(cast("list[str]", value))
    raise SimulationError(f"{name}: expected an array of strings")


def _object(value: JsonValue, name: str) -> JsonObject:
    if isinstance(value, dict):
        return value
    raise SimulationError(f"{name}: expected an object")


def _headers(value: JsonValue, name: str) -> dict[str, str]:
    return {header: _string(text, f"{name}.{header}") for header, text in _object(value, name).items()}


def _tool_calls(value: JsonValue, name: str) -> tuple[ToolCall, ...]:
    if not isinstance(value, list):
        raise SimulationError(f"{name}: expected an array")
    calls: list[ToolCall] = []
    for item in value:
        call = _object(item, name)
        arguments = _string(call.get("arguments", "{}"), f"{name}.arguments")
        calls.append(ToolCall(name=_string(call.get("name"), f"{name}.name"), arguments=arguments))
    return tuple(calls)


def _one_of(*choices: str) -> Callable[[JsonValue, str], str]:
    def parse(value: JsonValue, name: str) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise SimulationError(f"{name}: expected one of {', '.join(choices)}")

    return parse


def _named_error(value: JsonValue, name: str) -> str:
    fault = NAMED_FAULTS.get(value, {}) if isinstance(value, str) else {}
    if isinstance(value, str) and isinstance(as_object(fault.get("body")).get("error"), dict):
        return value
    raise SimulationError(f"{name}: no fault with an error object is called {value!r}")


_PARSER_OF_TYPE: dict[str, Callable[[JsonValue, str], object]] = {
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "str": _string,
    "tuple[str, ...]": _strings,
    "tuple[ToolCall, ...]": _tool_calls,
    "JsonValue": _anything,
    "Mapping[str, str]": _headers,
    "Mapping[str, JsonValue]": _object,
}
_PARSERS: dict[str, Callable[[JsonValue, str], object]] = {
    **{item.name: _PARSER_OF_TYPE[str(item.type).removesuffix(" | None")] for item in fields(Fault)},
    "newline": _one_of(*NEWLINES),
    "tool_index": _one_of("right", "zero", "omitted"),
    "error": _named_error,
}
