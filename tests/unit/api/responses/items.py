"""Input items, the chat messages that they become, and the way between, for tests."""

from typing import Any

from qwen_worker.api.responses.request import to_chat

HI = {"role": "user", "content": "Hi"}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def user(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


def assistant(said: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]}


def call(call_id: str, name: str = "f", arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **fields}


def result(call_id: str, output: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def reasoning(said: str) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": said}]}


def said(content: str | None, *calls: str, reasoning: str | None = None) -> dict[str, Any]:
    """The assistant's chat message with calls of `f`."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if calls:
        function = {"name": "f", "arguments": "{}"}
        message["tool_calls"] = [{"id": each, "type": "function", "function": function} for each in calls]
    return message


def tool(call_id: str, content: str = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def messages(*items: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = to_chat({"input": list(items)}).chat["messages"]
    return found
