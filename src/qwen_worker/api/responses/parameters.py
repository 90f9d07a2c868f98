"""The parameters of a Responses request: checked, as chat takes them, and as the answer repeats them."""

from typing import Any

from qwen_worker.errors import InvalidRequest
from qwen_worker.validation import (
    Check,
    boolean,
    integer,
    json_object,
    json_objects,
    model_name,
    number,
    string,
    text_in,
    unfit,
    wrong_type,
)

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


def asked_model(body: dict[str, Any]) -> str | None:
    """The model that the client names. Raises InvalidRequest."""
    model = body.get("model")
    if model is None:
        return None
    string("model", model)
    return model_name(model)


def check(body: dict[str, Any]) -> None:
    """Raises InvalidRequest for a value that no Responses API takes, and for what needs storage."""
    for name, check_value in _CHECKS.items():
        if body.get(name) is not None:
            check_value(name, body[name])
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
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None:
        string("reasoning.effort", effort)
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


def array(name: str, value: Any) -> None:
    """A Check."""
    if not isinstance(value, list):
        raise wrong_type(name, "an array", value)


_CHECKS: dict[str, Check] = {
    "model": string,
    "instructions": string,
    "stream": boolean,
    "store": boolean,
    "background": boolean,
    "parallel_tool_calls": boolean,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_logprobs": integer(0, 20),
    "max_output_tokens": integer(1),
    "max_tool_calls": integer(0),
    "metadata": json_object,
    "text": json_object,
    "reasoning": json_object,
    "stream_options": json_object,
    "tools": json_objects,
    "include": array,
    "prompt_cache_key": string,
    "service_tier": string,
    "truncation": string,
    "user": string,
    "safety_identifier": string,
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


def _response_format(form: Any) -> dict[str, Any] | None:
    """`text.format` in chat's words; None for plain text."""
    if form is None:
        return None
    if not isinstance(form, dict):
        raise unfit("text.format", "an object", form)
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
        raise unfit("text.format.schema", "an object", form.get("schema"))
    return {"type": kind, kind: {name: value for name, value in form.items() if name != "type"}}
