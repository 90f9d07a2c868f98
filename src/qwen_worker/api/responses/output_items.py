"""The items of a response's `output`, each with every field that OpenAI's schema demands."""

from typing import Any, Literal

from qwen_worker.api.responses.tools import Tool
from qwen_worker.json_text import parse_object

Status = Literal["in_progress", "completed", "incomplete"]
TextKind = Literal["output_text", "refusal"]


def text_part(kind: TextKind, text: str, logprobs: list[Any]) -> dict[str, Any]:
    """The one content part of a message."""
    if kind == "refusal":
        return {"type": kind, "refusal": text}
    return {"type": kind, "text": text, "annotations": [], "logprobs": logprobs}


def message_item(item_id: str, status: Status, content: list[dict[str, Any]]) -> dict[str, Any]:
    """What the model says."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def reasoning_item(item_id: str, status: Status, text: str) -> dict[str, Any]:
    """What the model thinks, as its summary and as itself: clients show the one or the other."""
    return {
        "id": item_id,
        "type": "reasoning",
        "status": status,
        "summary": [{"type": "summary_text", "text": text}] if text else [],
        "content": [{"type": "reasoning_text", "text": text}] if text else [],
        "encrypted_content": None,
    }


def call_item(item_id: str, status: Status, tool: Tool, call_id: str, arguments: str) -> dict[str, Any]:
    """A call of a function or of a custom tool, under the names that the client gave it.

    The input of a custom tool can only be told from whole arguments.
    """
    item: dict[str, Any] = {"id": item_id, "status": status, "call_id": call_id, "name": tool.name}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    if tool.kind == "custom":
        said = custom_input(arguments) if status == "completed" else ""
        return {**item, "type": "custom_tool_call", "input": said}
    return {**item, "type": "function_call", "arguments": arguments}


def complete_arguments(arguments: str) -> str:
    """Arguments as clients parse them: no arguments are an empty object."""
    return arguments if arguments and not arguments.isspace() else f"{arguments}{{}}"


def custom_input(arguments: str) -> str:
    """The input of a custom tool, which the model has put into a function's arguments.

    A model that did not keep to the one parameter has written the input itself, or named it otherwise.
    """
    value = parse_object(arguments)
    if value is None:
        return arguments
    if not isinstance(value.get("input"), str) and len(value) == 1:
        [text] = value.values()
    else:
        text = value.get("input", "")
    return text if isinstance(text, str) else arguments if value else ""


def is_complete(arguments: str) -> bool:
    """Whether the arguments of a call are whole: nothing can be added to a JSON object."""
    return parse_object(arguments) is not None
