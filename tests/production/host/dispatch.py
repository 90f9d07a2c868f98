"""Calls the Worker as workerd's glue does: the SDK converts the arguments, and then the result."""

from inspect import isawaitable
from typing import Any

from pyodide.code import relaxed_call  # type: ignore[attr-defined,unused-ignore]
from workers import python_from_rpc, python_to_rpc  # type: ignore[attr-defined,unused-ignore]


async def dispatch(instance: Any, event: str, *arguments: Any) -> Any:
    """Calls a handler of an entrypoint's instance; only `fetch` may take fewer arguments than are given."""
    handler = getattr(instance, event)
    converted = [python_from_rpc(argument) for argument in arguments]
    result = relaxed_call(handler, *converted) if event == "fetch" else handler(*converted)
    return python_to_rpc(await result if isawaitable(result) else result)
