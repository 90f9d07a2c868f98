"""Anthropic's tools as those of chat completions."""

from collections.abc import Mapping
from typing import Any

from qwen_worker.api.messages import checks
from qwen_worker.api.messages.bridge_content import CACHE_MARK


def is_client_tool(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is described by a schema and run by the client.

    All others are Anthropic's own (`web_search_20250305`, `bash_20250124`): its servers run them, or its
    models know them without a schema. They are left out; Claude Code takes a plain answer in place of a web
    search.
    """
    return tool.get("type") in (None, "custom")


def chat_tools(body: Mapping[str, Any], *, cache_marks: bool) -> list[dict[str, Any]]:
    """The functions for `tools`. Raises InvalidRequest that names the field."""
    return [
        _function(tool, f"tools.{index}", cache_marks=cache_marks)
        for index, tool in enumerate(body.get("tools") or ())
        if is_client_tool(tool)
    ]


def chat_tool_choice(body: Mapping[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields for `tool_choice`, once the functions for `tools` are known.

    Without a function a choice says nothing, and one of a tool that was left out cannot be followed.
    DashScope makes one call a turn unless `parallel_tool_calls` is true; Anthropic's models make several
    unless told not to.
    """
    choice = body.get("tool_choice") or {"type": "auto"}
    if not tools:
        return {}
    fields: dict[str, Any] = {"parallel_tool_calls": choice.get("disable_parallel_tool_use") is not True}
    kind = choice["type"]
    if kind == "any":
        fields["tool_choice"] = "required"
    elif kind == "tool":
        name = checks.string(choice.get("name"), "tool_choice.name")
        if any(tool["function"]["name"] == name for tool in tools):
            fields["tool_choice"] = {"type": "function", "function": {"name": name}}
        elif not any(tool.get("name") == name for tool in body["tools"]):
            raise checks.invalid("tool_choice.name", "there is no such tool in `tools`")
    elif kind == "none" or "tool_choice" in body:
        fields["tool_choice"] = kind
    return fields


def is_tool_forced(body: Mapping[str, Any]) -> bool:
    """Whether the model must call a tool."""
    choice = body.get("tool_choice")
    return isinstance(choice, Mapping) and choice.get("type") in ("any", "tool")


def _function(tool: Mapping[str, Any], path: str, *, cache_marks: bool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": checks.string(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        function["description"] = checks.string(tool["description"], f"{path}.description")
    function["parameters"] = checks.mapping(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("strict") is True:
        function["strict"] = True
    chat_tool: dict[str, Any] = {"type": "function", "function": function}
    if cache_marks and tool.get("cache_control"):
        chat_tool["cache_control"] = CACHE_MARK
    return chat_tool
