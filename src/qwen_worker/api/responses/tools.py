"""The tools of a Responses request as chat functions, and the way back from a function's name to the tool.

| tool | becomes |
|---|---|
| `function` | the same, nested |
| `custom` | a function with one string `input`; its grammar goes into the description |
| `namespace` | a function `namespace__name` for each tool in it |
| everything else | nothing: hosted tools that nobody here runs |

`local_shell` is left out too: Codex 0.171 does nothing with a `local_shell_call` that comes back.

Chat hosts take names of at most 64 characters, letters, digits, `_` and `-`. Other names are changed and end
with a checksum; two tools never share one.
"""

import re
from typing import Any, Literal, NamedTuple
from zlib import crc32

from qwen_worker.errors import InvalidRequest
from qwen_worker.validation import text_in, unfit

LONGEST_NAME = 64

_unfit = re.compile(r"[^A-Za-z0-9_-]").sub

ToolKind = Literal["function", "custom"]


class Tool(NamedTuple):
    """A tool as the client knows it."""

    kind: ToolKind
    name: str
    namespace: str | None


class Tools(NamedTuple):
    """The tools of a request."""

    functions: list[dict[str, Any]]
    """As chat takes them."""
    by_function: dict[str, Tool]
    """The client's tool for each function's name."""
    ignored: list[str]
    """The types that were left out."""

    def function_of(self, name: str, namespace: str | None) -> str:
        """The function's name for a tool, also for one that is no longer in the list."""
        for function, tool in self.by_function.items():
            if tool.name == name and tool.namespace == namespace:
                return function
        return function_name(name, namespace)

    def tool_of(self, function: str) -> Tool:
        """The client's tool for a function that the model calls, which may be one that does not exist."""
        return self.by_function.get(function) or Tool("function", function, None)


def function_name(name: str, namespace: str | None) -> str:
    """The function's name for a tool, if no other tool has it."""
    flat = name if not namespace else f"{namespace}{'' if namespace.endswith('__') else '__'}{name}"
    fit = _unfit("_", flat)
    if fit == flat and 0 < len(flat) <= LONGEST_NAME:
        return flat
    return f"{fit[: LONGEST_NAME - 9]}_{_checksum(name, namespace, 0):08x}"


def convert_tools(tools: list[Any], where: str = "tools") -> Tools:
    """Raises InvalidRequest for a tool that cannot be understood; unknown types are left out."""
    converted = Tools([], {}, [])
    for index, tool in enumerate(tools):
        _add(converted, tool, f"{where}[{index}]", None, "")
    return converted


def _add(tools: Tools, tool: Any, where: str, namespace: str | None, heading: str) -> None:
    if not isinstance(tool, dict):
        raise unfit(where, "an object", tool)
    kind = text_in(tool, "type", where)
    if kind == "namespace" and namespace is None:
        _add_namespace(tools, tool, where)
        return
    if kind not in ("function", "custom"):
        tools.ignored.append(kind)
        return
    inner = tool.get("function") if kind == "function" else None
    source = inner if isinstance(inner, dict) else tool
    name = text_in(source, "name", where)
    function = _free_name(tools, name, namespace)
    if function is None:
        return
    is_custom = kind == "custom"
    described: dict[str, Any] = {"name": function}
    description = _description(source, heading, is_custom)
    if description:
        described["description"] = description
    described["parameters"] = _INPUT if is_custom else source.get("parameters") or _NOTHING
    if source.get("strict") is True:
        described["strict"] = True
    chat_tool: dict[str, Any] = {"type": "function", "function": described}
    if "cache_control" in tool:
        chat_tool["cache_control"] = tool["cache_control"]
    tools.functions.append(chat_tool)
    tools.by_function[function] = Tool("custom" if is_custom else "function", name, namespace)


def _add_namespace(tools: Tools, tool: dict[str, Any], where: str) -> None:
    """The namespace's own description goes to its first tool: there is no other place for it."""
    name = text_in(tool, "name", where)
    inner = tool.get("tools")
    if not isinstance(inner, list):
        raise unfit(f"{where}.tools", "an array of objects", inner)
    heading = tool.get("description")
    for index, each in enumerate(inner):
        _add(tools, each, f"{where}.tools[{index}]", name, heading if isinstance(heading, str) else "")
        heading = ""


def _free_name(tools: Tools, name: str, namespace: str | None) -> str | None:
    """A function's name that no other tool has; None if this very tool is there already."""
    function = function_name(name, namespace)
    attempt = 0
    while (taken := tools.by_function.get(function)) is not None:
        if taken.name == name and taken.namespace == namespace:
            return None
        attempt += 1
        function = f"{_unfit('_', name)[: LONGEST_NAME - 9]}_{_checksum(name, namespace, attempt):08x}"
    return function


def _checksum(name: str, namespace: str | None, attempt: int) -> int:
    return crc32(f"{namespace or ''}\0{name}".encode("utf-8", "surrogatepass"), attempt)


def _description(source: dict[str, Any], heading: str, is_custom: bool) -> str:
    own = source.get("description")
    parts = [heading, own if isinstance(own, str) else ""]
    form = source.get("format") if is_custom else None
    if isinstance(form, dict) and isinstance(form.get("definition"), str):
        parts.append(f"`input` must match this {form.get('syntax', '')} grammar:\n{form['definition']}")
    return "\n\n".join(filter(None, parts))


_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as it is."}},
    "required": ["input"],
    "additionalProperties": False,
}
_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


# --- tool_choice


def choose_tools(choice: Any, tools: Tools) -> tuple[list[dict[str, Any]], Any]:
    """The functions that the model may call, and chat's `tool_choice` (None: not said).

    A choice of a hosted tool, which was left out, becomes "auto". Raises InvalidRequest for a choice that
    makes no sense, or of a function that is not in the list.
    """
    if choice is None or isinstance(choice, str):
        if choice not in (None, "auto", "none", "required"):
            raise InvalidRequest(
                "Invalid value for 'tool_choice'. Supported values are: 'none', 'auto', and 'required'.",
                param="tool_choice",
            )
        return tools.functions, choice
    if not isinstance(choice, dict):
        raise unfit("tool_choice", "a string or an object", choice)
    kind = text_in(choice, "type", "tool_choice")
    if kind == "allowed_tools":
        return _allowed(choice, tools)
    if kind not in ("function", "custom"):
        return tools.functions, "auto"
    named = _named(choice, tools, "tool_choice")
    if not named:
        raise InvalidRequest("The tool of 'tool_choice' is not among 'tools'.", param="tool_choice")
    return tools.functions, {"type": "function", "function": {"name": named[0]}}


def _allowed(choice: dict[str, Any], tools: Tools) -> tuple[list[dict[str, Any]], Any]:
    """Chat hosts have no list of allowed tools: the others are not shown to the model."""
    # Chat's own form has the list one level deeper.
    inner = choice.get("allowed_tools")
    source, where = (
        (inner, "tool_choice.allowed_tools") if isinstance(inner, dict) else (choice, "tool_choice")
    )
    listed = source.get("tools")
    if not isinstance(listed, list):
        raise unfit(f"{where}.tools", "an array of objects", listed)
    mode = source.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise InvalidRequest(
            f"Invalid value for '{where}.mode'. Supported values are: 'auto' and 'required'.",
            param=f"{where}.mode",
        )
    names: set[str] = set()
    for index, each in enumerate(listed):
        if not isinstance(each, dict):
            raise unfit(f"{where}.tools[{index}]", "an object", each)
        names.update(_named(each, tools, f"{where}.tools[{index}]"))
    return [each for each in tools.functions if each["function"]["name"] in names], mode


def _named(choice: dict[str, Any], tools: Tools, where: str) -> list[str]:
    """The functions of the tool, or of all tools of the namespace, that a choice names."""
    inner = choice.get("function")
    name = (inner if isinstance(inner, dict) else choice).get("name")
    kind = choice.get("type")
    if kind in ("function", "custom", "namespace") and not isinstance(name, str):
        raise unfit(f"{where}.name", "a string", name)
    if kind == "namespace":
        return [function for function, tool in tools.by_function.items() if tool.namespace == name]
    namespace = choice.get("namespace")
    found = [
        function
        for function, tool in tools.by_function.items()
        if kind in ("function", "custom") and tool.name == name and namespace in (None, tool.namespace)
    ]
    # A client may also use the name under which it saw the function called.
    return found[:1] or [function for function in tools.by_function if function == name]
