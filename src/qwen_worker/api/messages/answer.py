"""A whole chat completion as a whole message (apis-on-the-wire 4)."""

from collections.abc import Mapping
from typing import Any

from qwen_worker.api.messages.stop import StopSequences, stop_reason
from qwen_worker.api.messages.usage import usage_of
from qwen_worker.json_text import JsonTextError, parse

_CHARACTERS_PER_TOKEN = 4

_INVALID = "_invalid_json"
"""If the arguments of a call are no JSON object, `input` has this one member, with the text that the model
wrote. The client then tells the model that its arguments are wrong; with an empty input the model would not
learn why.
"""


def message_from(
    completion: Mapping[str, Any],
    *,
    message_id: str,
    model: str,
    stop_sequences: tuple[str, ...],
    input_tokens: int,
) -> dict[str, Any]:
    """The message. `model` is the name that was asked for, `input_tokens` our estimate of the prompt, used if
    the host does not tell.

    Blocks come in Anthropic's order: thinking, text, calls. Whatever the completion lacks is left out, and
    so is a call that was cut off at the longest output.
    """
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    choice = choice if isinstance(choice, dict) else {}
    answer = _mapping(choice.get("message"))
    stops = StopSequences(stop_sequences)
    texts = {
        "thinking": reasoning_of(answer),
        "text": stops.feed(_text(answer.get("content"))) + stops.release(),
    }
    stops.note(choice)
    content: list[dict[str, Any]] = []
    if texts["thinking"].strip():
        content.append({"type": "thinking", "thinking": texts["thinking"], "signature": ""})
    if texts["text"].strip():
        content.append({"type": "text", "text": texts["text"]})
    calls = answer.get("tool_calls")
    calls = calls if isinstance(calls, list) and stops.matched is None else []
    finish_reason = choice.get("finish_reason")
    finish_reason = finish_reason if isinstance(finish_reason, str) else None
    is_call_cut = False
    called = False
    for number, call in enumerate(map(_mapping, calls)):
        block = _tool_use(call, f"toolu_{message_id}_{number}")
        is_cut = finish_reason == "length" and _INVALID in block["input"]
        is_call_cut = is_call_cut or is_cut
        if block["name"] and not is_cut:
            content.append(block)
            called = True
    reason = stop_reason(finish_reason, called=called, is_call_cut=is_call_cut, stop=stops.matched)
    usage = completion.get("usage")
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stops.matched if reason == "stop_sequence" else None,
        "usage": usage_of(
            usage if isinstance(usage, dict) else None,
            input_tokens=input_tokens,
            output_tokens=sum(map(len, texts.values())) // _CHARACTERS_PER_TOKEN,
        ),
    }


def reasoning_of(answer: Mapping[str, Any]) -> str:
    """The thinking in a message or a delta: vLLM and OpenRouter call it `reasoning`."""
    return _text(answer.get("reasoning_content")) or _text(answer.get("reasoning"))


def _tool_use(call: Mapping[str, Any], substitute_id: str) -> dict[str, Any]:
    function = _mapping(call.get("function"))
    return {
        "type": "tool_use",
        "id": _text(call.get("id")) or substitute_id,
        "name": _text(function.get("name")),
        "input": _input(function.get("arguments")),
    }


def _input(arguments: Any) -> dict[str, Any]:
    """The arguments as the object that Anthropic's clients get; none, or a null, is an empty one."""
    value = arguments
    if isinstance(arguments, str):
        try:
            value = parse(arguments) if arguments.strip() else None
        except JsonTextError:
            value = arguments
    if value is None:
        return {}
    return value if isinstance(value, dict) else {_INVALID: arguments}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
