"""The objects of options that `fetch` and `Response` take.

To make one of a dict costs some 20 us. So an isolate makes one for each set of header names, and from then on
changes only the values that differ from the last time: both functions have read it when they return. The
first request makes them, since a memory snapshot cannot hold them.
"""

from collections.abc import Mapping
from typing import Any

from qwen_worker.platform.interop import js_object

MOST_SETS = 64
"""How many sets of header names are kept. There are few: by API, and by what hosts tell of limits."""

_Filled = tuple[Any, dict[str, str]]
"""A JavaScript object, and what it holds."""

_by_names: dict[tuple[str, ...], _Filled] = {}
_fetch_options: Any = None
_response_options: Any = None


def fetch_options(method: str, headers: Mapping[str, str], signal: Any, body: Any) -> Any:
    """Options for one call of `fetch`, which `forget_fetch` must follow. `body` is None or JavaScript's."""
    global _fetch_options
    if _fetch_options is None:
        _fetch_options = js_object({"redirect": "manual"})
    _fetch_options.method = method
    _fetch_options.headers = _filled(headers)
    _fetch_options.signal = signal
    _fetch_options.body = body
    return _fetch_options


def forget_fetch() -> None:
    """Lets go of the body and of what belongs to the request."""
    _fetch_options.signal = None
    _fetch_options.body = None


def response_options(status: int, headers: Mapping[str, str]) -> Any:
    """Options for one call of `new Response`."""
    global _response_options
    if _response_options is None:
        _response_options = js_object({})
    _response_options.status = status
    _response_options.headers = _filled(headers)
    return _response_options


def _filled(headers: Mapping[str, str]) -> Any:
    """A JavaScript object of these headers."""
    names = tuple(headers)
    kept = _by_names.get(names)
    if kept is None:
        if len(_by_names) >= MOST_SETS:
            _by_names.clear()
        kept = _by_names[names] = js_object({**headers}), {**headers}
        return kept[0]
    filled, values = kept
    for name, value in headers.items():
        if values[name] != value:
            setattr(filled, name, value)
            values[name] = value
    return filled
