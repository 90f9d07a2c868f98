"""How many tokens a Messages request is for Qwen, estimated: for count_tokens, and as a stream's early
usage.
"""

import json
from collections.abc import Mapping
from typing import Any

from qwen_worker.api.messages.bridge_content import BILLING_HEADER
from qwen_worker.api.messages.bridge_tools import is_client_tool
from qwen_worker.api.messages.image_size import image_size
from qwen_worker.tokens import MESSAGE_TOKENS, ROUGH, TOOLS_TOKENS, estimate_tokens

_PIXELS_PER_TOKEN = 32 * 32
_FEWEST_IMAGE_TOKENS = 4
_MOST_IMAGE_TOKENS = 2560
"""Qwen makes larger images smaller, unless it is asked for high resolution."""
_UNKNOWN_IMAGE_TOKENS = 1024


def estimate_input_tokens(body: Mapping[str, Any]) -> int:
    """The tokens of a checked, decoded Messages body. Never fails, whatever the blocks hold."""
    texts: list[str] = []
    tokens = _add_prompt(body, texts)
    tools = [tool for tool in body.get("tools") or () if is_client_tool(tool)]
    if tools:
        tokens += TOOLS_TOKENS
        texts.append(json.dumps([_tool(tool) for tool in tools], ensure_ascii=False))
    return tokens + estimate_tokens(_joined(texts))


def early_input_tokens(body: Mapping[str, Any], tools: bytes) -> int:
    """A rougher estimate in a quarter of the time, for the start of a stream: its end tells the host's count.

    `tools` is their JSON as the client wrote it, which is near enough to how the template writes it.
    """
    texts: list[str] = []
    tokens = _add_prompt(body, texts)
    if not any(map(is_client_tool, body.get("tools") or ())):
        return tokens + estimate_tokens(_joined(texts), ROUGH)
    return tokens + TOOLS_TOKENS + estimate_tokens(_joined(texts) + tools, ROUGH)


def _add_prompt(body: Mapping[str, Any], texts: list[str]) -> int:
    """Adds the texts of all messages, and returns the tokens of everything else in them."""
    tokens = MESSAGE_TOKENS
    system = body.get("system")
    if system:
        tokens += MESSAGE_TOKENS + _add_content(system, texts)
    for message in body["messages"]:
        tokens += MESSAGE_TOKENS + _add_content(message["content"], texts)
    return tokens


def _joined(texts: list[str]) -> bytes:
    return "\n".join(texts).encode("utf-8", "surrogatepass")


def _add_content(content: Any, texts: list[str]) -> int:
    """Adds the texts of a content, and returns the tokens of its images."""
    if isinstance(content, str):
        texts.append(content)
        return 0
    tokens = 0
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping):
            tokens += _add_block(block, texts)
    return tokens


def _add_block(block: Mapping[str, Any], texts: list[str]) -> int:
    kind = block.get("type")
    if kind in ("text", "thinking"):
        text = block.get(kind)
        if isinstance(text, str) and not text.startswith(BILLING_HEADER):
            texts.append(text)
    elif kind == "image":
        return _image_tokens(block.get("source"))
    elif kind == "tool_use":
        call = {"name": block.get("name"), "arguments": block.get("input")}
        texts.append(json.dumps(call, ensure_ascii=False))
        return MESSAGE_TOKENS
    elif kind == "document":
        source = block.get("source")
        source = source if isinstance(source, Mapping) else {}
        return _add_content(
            source.get("data") if source.get("type") == "text" else source.get("content"), texts
        )
    elif "content" in block:
        return MESSAGE_TOKENS + _add_content(block["content"], texts)
    return 0


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the template writes it into the prompt."""
    described = {
        "name": tool.get("name"),
        "description": tool.get("description"),
        "parameters": tool.get("input_schema"),
    }
    return {"type": "function", "function": described}


def _image_tokens(source: Any) -> int:
    data = source.get("data") if isinstance(source, Mapping) else None
    size = image_size(data) if isinstance(data, str) else None
    if size is None:
        return _UNKNOWN_IMAGE_TOKENS
    pixels = size[0] * size[1]
    return min(max(pixels // _PIXELS_PER_TOKEN, _FEWEST_IMAGE_TOKENS), _MOST_IMAGE_TOKENS)
