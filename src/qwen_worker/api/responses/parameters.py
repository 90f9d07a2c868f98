"""The parameters of a Responses request: checked, as chat takes them, and as the answer repeats them."""

from typing import Any

from qwen_worker.api.responses.checks import optional, text_in, wrong_type
from qwen_worker.errors import InvalidRequest

NOT_FOR_CHAT = frozenset(
    (
        *("input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "messages"),
        *("text", "reasoning", "max_output_tokens", "max_tool_calls", "stream_options", "include"),
        *("store", "metadata", "client_metadata", "service_tier", "truncation", "user", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "context_management"),
        *("background", "background_options", "conversation", "previous_response_id", "prompt"),
        *("access_programs", "moderation", "image", "top_logprobs"),
    )
)
"""What is translated, answered here, or means nothing to a chat host. Every other field goes to Qwen."""


def check(body: dict[str, Any]) -> None:
    """Raises InvalidRequest for a value that no Responses API takes, and for what needs storage."""
    for name, (kind, expected) in _TYPES.items():
        optional(body, name, kind, expected)
    _between(body, "temperature", 0, 2)
    _between(body, "top_p", 0, 1)
    _between(body, "top_logprobs", 0, 20)
    _between(body, "max_output_tokens", 1, None)
    if body.get("background"):
        raise InvalidRequest(
            "Background responses are not supported: this gateway keeps no responses. Leave out "
            "'background', and stream the response instead.",
            param="background",
            code="unsupported_parameter",
        )
    for name in ("previous_response_id", "conversation"):
        if body.get(name) is not None:
            raise InvalidRequest(
                f"This gateway keeps no conversations: leave out '{name}', and send the whole input.",
                param=name,
                code="previous_response_not_found",
            )
    if body.get("prompt") is not None:
        raise InvalidRequest(
            "This gateway keeps no prompt templates: send the prompt as 'instructions' and 'input'.",
            param="prompt",
            code="unsupported_parameter",
        )


def chat_parameters(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of the chat request but `messages` and those about tools."""
    chat = {name: value for name, value in body.items() if name not in NOT_FOR_CHAT}
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    effort = optional(body, "reasoning.effort", str, "a string") if body.get("reasoning") else None
    if effort is not None:
        chat["reasoning_effort"] = effort
    response_format = _response_format((body.get("text") or {}).get("format"))
    if response_format is not None:
        chat["response_format"] = response_format
    if body.get("top_logprobs"):
        chat["top_logprobs"] = body["top_logprobs"]
    if body.get("top_logprobs") or "message.output_text.logprobs" in (body.get("include") or ()):
        chat["logprobs"] = True
    if body.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}
    return chat


def echo(body: dict[str, Any]) -> dict[str, Any]:
    """The parameters as a response repeats them. What was not said has OpenAI's default, since its schema
    takes no null there.
    """
    text = body.get("text") or {}
    reasoning = body.get("reasoning") or {}
    told = {name: body[name] if body.get(name) is not None else value for name, value in _DEFAULTS.items()}
    return {
        **told,
        "background": False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": False,
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tools": [tool for tool in body.get("tools") or [] if isinstance(tool, dict)],
    }


_OBJECT = (dict, "an object")
_ARRAY = (list, "an array")
_STRING = (str, "a string")
_BOOLEAN = (bool, "a boolean")
_NUMBER = ((int, float), "a number")
_INTEGER = (int, "an integer")

_TYPES: dict[str, tuple[Any, str]] = {
    "model": _STRING,
    "instructions": _STRING,
    "stream": _BOOLEAN,
    "store": _BOOLEAN,
    "background": _BOOLEAN,
    "parallel_tool_calls": _BOOLEAN,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "top_logprobs": _INTEGER,
    "max_output_tokens": _INTEGER,
    "max_tool_calls": _INTEGER,
    "metadata": _OBJECT,
    "text": _OBJECT,
    "reasoning": _OBJECT,
    "stream_options": _OBJECT,
    "tools": (list, "an array of objects"),
    "include": _ARRAY,
    "prompt_cache_key": _STRING,
    "service_tier": _STRING,
    "truncation": _STRING,
    "user": _STRING,
    "safety_identifier": _STRING,
}

_DEFAULTS: dict[str, Any] = {
    "frequency_penalty": 0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def _between(body: dict[str, Any], name: str, minimum: float, maximum: float | None) -> None:
    value = body.get(name)
    if value is None or (value >= minimum and (maximum is None or value <= maximum)):
        return
    limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise InvalidRequest(f"Invalid value for '{name}': expected a number {limits}.", param=name)


def _response_format(form: Any) -> dict[str, Any] | None:
    """`text.format` in chat's words; None for plain text."""
    if form is None:
        return None
    if not isinstance(form, dict):
        raise wrong_type("text.format", "an object", form)
    kind = text_in(form, "type", "text.format")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind != "json_schema":
        raise InvalidRequest(
            "Invalid value for 'text.format.type'. Supported values are: 'text', 'json_object', and "
            "'json_schema'.",
            param="text.format.type",
        )
    text_in(form, "name", "text.format")
    if not isinstance(form.get("schema"), dict):
        raise wrong_type("text.format.schema", "an object", form.get("schema"))
    return {"type": kind, kind: {name: value for name, value in form.items() if name != "type"}}
