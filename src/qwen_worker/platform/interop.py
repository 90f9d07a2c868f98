"""Conversions between Python and JavaScript on every supported runtime."""

from typing import Any

from js import Object
from pyodide.ffi import to_js

try:
    from pyodide.ffi import jsnull
except ImportError:  # Pyodide before 0.28 gives None for JavaScript's null
    jsnull = None

WorkerEntrypoint: Any
try:
    from workers import WorkerEntrypoint
except ImportError:  # the embedded runtime has no SDK and dispatches to `on_fetch`
    WorkerEntrypoint = None

HAS_SDK = WorkerEntrypoint is not None
"""Whether this is a current runtime, with Cloudflare's SDK."""

_from_entries = Object.fromEntries


def absent(value: Any) -> bool:
    """Whether JavaScript meant `null` or `undefined`; newer Pyodides have an object of its own for null."""
    return value is None or value is jsnull


def js_object(value: dict[str, Any]) -> Any:
    """A plain JavaScript object; without the converter a dict becomes a Map, which kills the interpreter."""
    return to_js(value, dict_converter=_from_entries)


def native_environment(env: Any) -> Any:
    """The runtime's own environment object, without the SDK's wrapper (which raises for unset names)."""
    return getattr(env, "_env", env) if HAS_SDK else env


def native_request(request: Any) -> Any:
    """The runtime's own Request, without the SDK's wrapper (whose `method` fails on unusual verbs)."""
    return getattr(request, "js_object", request) if HAS_SDK else request
