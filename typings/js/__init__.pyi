# The global scope of the Workers runtime: every JavaScript global, as a proxy.

from typing import Any

def __getattr__(name: str) -> Any: ...
