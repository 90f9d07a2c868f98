"""What may go wrong (or just differ) in one answer, as a value that a test selects.

A `Fault` describes one answer. A `Simulation` says which fault each attempt of a logical request gets; it
is what the field `simulate` of a chat request holds. Both are validated by pydantic, which refuses what they
do not know: a typing error in a test cannot pass for a healthy answer. The README lists every field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, model_validator

from tests.simulator.json_types import JsonObject, as_object
from tests.simulator.named_faults import NAMED_FAULTS

_DEFAULT_STREAM_ERROR = "throttling_rate_quota"


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _with_error_object(name: str) -> str:
    if not isinstance(as_object(NAMED_FAULTS.get(name, {}).get("body")).get("error"), dict):
        raise ValueError(f"no fault with an error object is called {name!r}")
    return name


Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Texts = Annotated[tuple[StrictStr, ...], Field(strict=False), BeforeValidator(_listed)]


class Description(BaseModel):
    """What JSON may describe: nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ToolCall(Description):
    """One call of a function; `arguments` is the text sent, which need not be valid JSON."""

    name: str
    arguments: str = "{}"


class Fault(Description):
    """One answer's deviations from a healthy one; the defaults describe the healthy answer.

    `Fault.model_validate` takes the name of a ready-made fault, or an object of fields, which may hold a
    `name`; it raises pydantic's ValidationError. Times are milliseconds. `*_after` counts the events already
    sent, the role chunk included (in an answer without a stream: the bytes); a place beyond the end of the
    answer means its end. Fields that only matter to the token endpoint stand last.
    """

    name: str | None = None

    status: Count | None = None
    body: Any = None
    headers: dict[str, str] = {}
    content_type: str | None = None
    reset_in_seconds: Amount = 120.0

    delay_before_headers_ms: Amount = 0.0
    delay_before_first_chunk_ms: Amount = 0.0
    chunk_delay_ms: Amount | None = None

    abort_before_headers: bool = False
    abort_after: Count | None = None
    reset: bool = False
    end_after: Count | None = None
    stall_after: Count | None = None
    stall_ms: Amount | None = None

    error: Annotated[str, AfterValidator(_with_error_object)] | None = None
    error_text: str | None = None
    error_finish_after: Count | None = None
    error_event_after: Count | None = None
    error_data_after: Count | None = None
    done_after_error: bool = False

    raw: Texts | None = None
    prelude: str = ""
    text: Texts | None = None
    reasoning: Texts | None = None
    tool_calls: Annotated[tuple[ToolCall, ...], Field(strict=False)] | None = None
    chunks: Count | None = None
    burst: Count | None = None
    endless: bool = False
    delta_bytes: Count | None = None
    finish_reason: str | None = None

    json_instead_of_sse: bool = False
    no_done: bool = False
    no_finish_reason: bool = False
    always_usage: bool = False
    no_usage: bool = False
    cumulative: bool = False
    null_tool_names: bool = False
    tool_index: Literal["right", "zero", "omitted"] = "right"

    newline: Literal["lf", "crlf", "cr"] = "lf"
    no_space: bool = False
    bom: bool = False
    multi_line: bool = False
    id_lines: bool = False
    event_lines: bool = False
    comment_every: Count = 0
    split_bytes: Count | None = None
    write_delay_ms: Amount = 0.0
    gzip: Literal["if_accepted", "always", "broken"] | None = None

    omit: Texts = ()
    extra: dict[str, Any] = {}
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

    def stream_error(self) -> tuple[int, JsonObject]:
        """The status and the error, in OpenAI's words, of a stream that goes wrong."""
        named = NAMED_FAULTS[self.error or _DEFAULT_STREAM_ERROR]
        error = dict(as_object(as_object(named["body"])["error"]))
        if self.error_text is not None:
            error["message"] = self.error_text
        status = named["status"]
        assert isinstance(status, int)
        return status, error

    @model_validator(mode="before")
    @classmethod
    def _with_named_fields(cls, description: Any) -> Any:
        if isinstance(description, str):
            description = {"name": description}
        name = description.get("name") if isinstance(description, dict) else None
        if name is None:
            return description
        if not isinstance(name, str) or name not in NAMED_FAULTS:
            raise ValueError(f"no fault is called {name!r}")
        return {**NAMED_FAULTS[name], **description}


HEALTHY = Fault()


class Simulation(Description):
    """The faults of one logical request, attempt by attempt.

    `sequence` gives the first attempts their faults and `then` all later ones. `key` names the logical
    request for the count of attempts (default: its x-request-id). `only_for` restricts the faults to some
    credentials: access tokens, API keys or names of logins.

    `Simulation.model_validate` takes besides these fields a fault (for all attempts), or a fault with
    `fail_first: K` (for the first K attempts). It raises pydantic's ValidationError.
    """

    sequence: Annotated[tuple[Fault, ...], Field(strict=False)] = ()
    then: Fault = HEALTHY
    key: str | None = None
    only_for: Texts = ()

    def fault_of_attempt(self, attempt: int) -> Fault:
        """Return the fault of an attempt; the first attempt is 1."""
        return self.sequence[attempt - 1] if attempt <= len(self.sequence) else self.then

    @model_validator(mode="before")
    @classmethod
    def _with_sequence(cls, description: Any) -> Any:
        if not isinstance(description, dict):
            return {"then": description}
        simulation = {name: value for name, value in description.items() if name in cls.model_fields}
        fault = {name: value for name, value in description.items() if name not in cls.model_fields}
        times = fault.pop("fail_first", None)
        if "sequence" in simulation:
            if fault or times is not None:
                raise ValueError("a sequence allows no other fault beside it")
        elif times is None:
            simulation["then"] = fault or simulation.get("then", {})
        elif isinstance(times, int) and not isinstance(times, bool):
            simulation["sequence"] = [fault] * times
        else:
            raise ValueError("fail_first: expected an integer")
        return simulation
