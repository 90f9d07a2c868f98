"""A whole chat completion as a whole response, and what whole answers and streams share."""

from typing import Any

from qwen_worker.api.responses.item_ids import Ids, Kind
from qwen_worker.api.responses.output_items import (
    call_item,
    complete_arguments,
    is_complete,
    message_item,
    reasoning_item,
    text_part,
)
from qwen_worker.api.responses.request import Asked


def whole_response(
    completion: dict[str, Any], asked: Asked, *, ids: Ids, model: str, now_ms: int
) -> dict[str, Any]:
    """The response for a chat completion. `model` is the one that was asked for.

    What is strange in the completion is left out; only its first choice counts.
    """
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    choice = choice if isinstance(choice, dict) else {}
    message = choice.get("message")
    reason = incomplete_reason(choice.get("finish_reason"))
    return {
        **response_head(ids.response, model, now_ms),
        **asked.echo,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "completed_at": now_ms // 1000 if reason is None else None,
        "output": _output(message if isinstance(message, dict) else {}, choice, asked, ids),
        "usage": usage_of(completion.get("usage")),
    }


def response_head(response_id: str, model: str, now_ms: int) -> dict[str, Any]:
    """The fields that a response has from its beginning on."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": now_ms // 1000,
        "model": model,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }


def incomplete_reason(finish_reason: Any) -> str | None:
    """Why a response is incomplete, by chat's finish reason; None if it is not."""
    if finish_reason == "length":
        return "max_output_tokens"
    return "content_filter" if finish_reason in ("content_filter", "refusal") else None


def usage_of(usage: Any) -> dict[str, Any] | None:
    """Chat's usage in the words of the Responses API; None if the host did not tell it."""
    if not isinstance(usage, dict):
        return None
    read = usage.get("prompt_tokens_details")
    written = usage.get("completion_tokens_details")
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": _count(read, "cached_tokens"),
            "cache_write_tokens": _count(read, "cache_creation_input_tokens"),
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": _count(written, "reasoning_tokens")},
        "total_tokens": _count(usage, "total_tokens") or prompt + completion,
    }


def text_of(content: Any) -> str:
    """The text of a message's or a delta's content: a string, or text parts as some hosts send them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join([text for text in texts if isinstance(text, str)])


def reasoning_of(message: dict[str, Any]) -> str:
    """The reasoning in a message or a delta. Newer vLLMs, behind other hosts, call it `reasoning`."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    return reasoning if isinstance(reasoning, str) else ""


def calls_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls in a message or a delta, the legacy `function_call` among them."""
    calls = message.get("tool_calls")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    legacy = message.get("function_call")
    return [*found, {"function": legacy}] if isinstance(legacy, dict) else found


def _output(message: dict[str, Any], choice: dict[str, Any], asked: Asked, ids: Ids) -> list[dict[str, Any]]:
    """The items in the order in which a stream would have them: reasoning, message, calls."""

    def item_id(kind: Kind, text: str) -> str:
        return ids.carrying(kind, text) if asked.carries_texts else ids.plain(kind)

    is_cut = incomplete_reason(choice.get("finish_reason")) is not None
    items: list[dict[str, Any]] = []
    reasoning, text, refusal = reasoning_of(message), text_of(message.get("content")), message.get("refusal")
    if reasoning:
        items.append(reasoning_item(item_id("rs", reasoning), "completed", reasoning))
    if text:
        part = text_part("output_text", text, logprobs_of(choice))
        items.append(message_item(item_id("msg", text), "completed", [part]))
    if isinstance(refusal, str) and refusal:
        part = text_part("refusal", refusal, [])
        items.append(message_item(item_id("msg", refusal), "completed", [part]))
    items += _calls(message, asked, ids, is_cut=is_cut)
    if is_cut and items and "call_id" not in items[-1]:
        items[-1]["status"] = "incomplete"
    return items


def _calls(message: dict[str, Any], asked: Asked, ids: Ids, *, is_cut: bool) -> list[dict[str, Any]]:
    """The calls. In an answer that was cut off, unfinished arguments stay as they are: clients must not take
    the call for one without arguments.
    """
    items: list[dict[str, Any]] = []
    used: set[str] = set()
    for call in calls_of(message):
        function, call_id = call.get("function"), call.get("id")
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not name:
            continue
        if not isinstance(call_id, str) or not call_id or call_id in used:
            call_id = ids.plain("call")
        used.add(call_id)
        arguments = function.get("arguments")
        arguments = arguments if isinstance(arguments, str) else ""
        is_whole = not is_cut or is_complete(arguments)
        items.append(
            call_item(
                ids.plain("fc"),
                "completed" if is_whole else "incomplete",
                asked.tools.tool_of(name),
                call_id,
                complete_arguments(arguments) if is_whole else arguments,
            )
        )
    return items


def logprobs_of(choice: dict[str, Any]) -> list[Any]:
    """The log probabilities of a choice's text; they look the same in both APIs."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else []


def _count(owner: Any, name: str) -> int:
    value = owner.get(name) if isinstance(owner, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
