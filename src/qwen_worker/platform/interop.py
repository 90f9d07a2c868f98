"""Conversions between Python and JavaScript on every supported runtime."""

import sys
from typing import Any

from js import Object
from pyodide.ffi import to_js

try:
    from pyodide.ffi import jsnull as jsnull
except ImportError:  # Pyodide before 0.28 gives None for JavaScript's null
    jsnull = None

IS_EMBEDDED = sys.version_info < (3, 13)
"""Whether this is the runtime of `make dev` and of the tests, inside the wrangler that npm brings."""

_from_entries = Object.fromEntries


def absent(value: Any) -> bool:
    """Whether JavaScript meant `null` or `undefined`; newer Pyodides have an object of its own for null."""
    return value is None or value is jsnull


def js_object(value: dict[str, Any]) -> Any:
    """A plain JavaScript object; without the converter a dict becomes a Map, which kills the interpreter."""
    return to_js(value, dict_converter=_from_entries)
