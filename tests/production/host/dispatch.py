"""How workerd's glue reaches the Worker: arguments through the SDK's conversion, the result back through it."""

from inspect import isawaitable

from pyodide.code import relaxed_call
from workers import python_from_rpc, python_to_rpc


async def dispatch(instance, event, *arguments):
    """Calls a handler of an entrypoint's instance; only `fetch` may take fewer arguments than are given."""
    handler = getattr(instance, event)
    converted = [python_from_rpc(argument) for argument in arguments]
    result = relaxed_call(handler, *converted) if event == "fetch" else handler(*converted)
    return python_to_rpc(await result if isawaitable(result) else result)
