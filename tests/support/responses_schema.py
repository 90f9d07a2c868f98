"""Which fields the Responses API's events and responses have: all of them, and none of another type than
openai-python's.
"""

from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_event_model: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_response_model: TypeAdapter[Any] = TypeAdapter(Response)

RESPONSE_FIELDS = frozenset(
    (
        *(
            "id",
            "object",
            "created_at",
            "completed_at",
            "status",
            "background",
            "error",
            "incomplete_details",
        ),
        *("instructions", "max_output_tokens", "max_tool_calls", "model", "output", "parallel_tool_calls"),
        *("previous_response_id", "prompt_cache_key", "reasoning", "safety_identifier", "service_tier"),
        *("store", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation"),
        *("usage", "user", "metadata", "presence_penalty", "frequency_penalty"),
    )
)
NEVER_NULL = (
    *("id", "object", "created_at", "status", "background", "model", "output", "parallel_tool_calls"),
    *("reasoning", "service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs"),
    *("top_p", "truncation", "metadata", "presence_penalty", "frequency_penalty"),
)
OUR_ERROR_CODES = ("context_length_exceeded", "insufficient_quota")
"""Codes that Codex reads and that OpenAI's own types do not have."""

_PLACE = frozenset(("type", "sequence_number", "output_index"))
_IN_ITEM = _PLACE | {"item_id"}
_IN_PART = _IN_ITEM | {"content_index"}
_IN_SUMMARY = _IN_ITEM | {"summary_index"}
FIELDS: dict[str, frozenset[str]] = {
    "response.created": frozenset(("type", "sequence_number", "response")),
    "response.in_progress": frozenset(("type", "sequence_number", "response")),
    "response.completed": frozenset(("type", "sequence_number", "response")),
    "response.incomplete": frozenset(("type", "sequence_number", "response")),
    "response.failed": frozenset(("type", "sequence_number", "response")),
    "response.output_item.added": _PLACE | {"item"},
    "response.output_item.done": _PLACE | {"item"},
    "response.content_part.added": _IN_PART | {"part"},
    "response.content_part.done": _IN_PART | {"part"},
    "response.output_text.delta": _IN_PART | {"delta", "logprobs"},
    "response.output_text.done": _IN_PART | {"text", "logprobs"},
    "response.refusal.delta": _IN_PART | {"delta"},
    "response.refusal.done": _IN_PART | {"refusal"},
    "response.reasoning_summary_part.added": _IN_SUMMARY | {"part"},
    "response.reasoning_summary_part.done": _IN_SUMMARY | {"part"},
    "response.reasoning_summary_text.delta": _IN_SUMMARY | {"delta"},
    "response.reasoning_summary_text.done": _IN_SUMMARY | {"text"},
    "response.reasoning_text.delta": _IN_PART | {"delta"},
    "response.reasoning_text.done": _IN_PART | {"text"},
    "response.function_call_arguments.delta": _IN_ITEM | {"delta"},
    "response.function_call_arguments.done": _IN_ITEM | {"arguments", "name"},
    "response.custom_tool_call_input.delta": _IN_ITEM | {"delta"},
    "response.custom_tool_call_input.done": _IN_ITEM | {"input"},
}


def check_event(event: dict[str, Any]) -> None:
    """The event has exactly its fields, of the types of openai-python."""
    assert event.keys() == FIELDS[event["type"]], event
    response = event.get("response")
    if response is not None:
        check_response(response)
        event = {**event, "response": _with_known_code(response)}
    parsed = _event_model.validate_python(event)
    assert parsed.type == event["type"], "the type is known"


def check_response(response: dict[str, Any]) -> None:
    """A whole response has every field, and none is null that must not be."""
    assert response.keys() == RESPONSE_FIELDS
    assert [name for name in NEVER_NULL if response[name] is None] == []
    _response_model.validate_python(_with_known_code(response))
    usage = response["usage"]
    if usage is not None:
        counts = [usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")]
        counts += [*usage["input_tokens_details"].values(), *usage["output_tokens_details"].values()]
        assert all(type(count) is int for count in counts)
        assert len(counts) == 6


def _with_known_code(response: dict[str, Any]) -> dict[str, Any]:
    error = response["error"]
    if error is not None and error["code"] in OUR_ERROR_CODES:
        return {**response, "error": {**error, "code": "server_error"}}
    return response
