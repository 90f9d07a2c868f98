# The part of pyodide.ffi that this project uses, as it is in current Pyodide.
# `jsnull` is missing from the embedded runtime's version.

from collections.abc import Callable
from typing import Any

jsnull: Any

class JsProxy:
    def __getattr__(self, name: str) -> Any: ...

class JsException(Exception):
    name: str
    message: str

def to_js(
    obj: Any,
    /,
    *,
    depth: int = ...,
    create_pyproxies: bool = ...,
    dict_converter: Callable[..., Any] | None = ...,
) -> Any: ...
def create_proxy(obj: Any, /, *, capture_this: bool = ..., roundtrip: bool = ...) -> Any: ...
def create_once_callable(obj: Callable[..., Any], /) -> Any: ...
def run_sync(awaitable: Any, /) -> Any: ...
