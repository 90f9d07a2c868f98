"""A whole chat completion as a whole message (apis-on-the-wire 4)."""

import json
from collections.abc import Mapping
from typing import Any

from qwen_worker.api.messages.stop import StopSequences, stop_reason
from qwen_worker.api.messages.usage import usage_of

_CHARACTERS_PER_TOKEN = 4


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

    Blocks come in Anthropic's order: thinking, text, calls. Whatever the completion lacks is left out.
    """
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    choice = choice if isinstance(choice, dict) else {}
    answer = _mapping(choice.get("message"))
    stops = StopSequences(stop_sequences)
    texts = {
        "thinking": _text(answer.get("reasoning_content")),
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
    blocks = [_tool_use(_mapping(call), f"toolu_{message_id}_{n}") for n, call in enumerate(calls)]
    is_call_cut = any(block["input"] is None for block in blocks) and finish_reason == "length"
    for block in blocks:
        if block["input"] is None:
            if is_call_cut:
                # Cut off at the longest output: a call that the model had not finished asking for.
                continue
            block["input"] = {}
        content.append(block)
    reason = stop_reason(finish_reason, called=bool(blocks), is_call_cut=is_call_cut, stop=stops.matched)
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


def _tool_use(call: Mapping[str, Any], substitute_id: str) -> dict[str, Any]:
    """The block of a call. Its `input` is None if the arguments are no JSON object."""
    function = _mapping(call.get("function"))
    return {
        "type": "tool_use",
        "id": _text(call.get("id")) or substitute_id,
        "name": _text(function.get("name")),
        "input": _input(function.get("arguments")),
    }


def _input(arguments: Any) -> dict[str, Any] | None:
    """The arguments as the object that Anthropic's clients get; none, or a null, is an empty one."""
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    elif isinstance(arguments, str):
        return {}
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
