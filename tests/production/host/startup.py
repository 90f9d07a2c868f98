"""What a Worker must not touch while its modules are imported: entropy and the clock.

Production refuses the deployment, or freezes one isolate's random numbers and time into the snapshot of all.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_FORBIDDEN: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (os, ("urandom", "getrandom")),
    (random, ("random", "randint", "randrange", "choice", "uniform", "getrandbits", "randbytes", "seed")),
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")),
)


@contextmanager
def import_rules() -> Iterator[None]:
    """Calls of forbidden functions raise for the time of the import."""
    originals = [
        (module, name, getattr(module, name))
        for module, names in _FORBIDDEN
        for name in names
        if hasattr(module, name)
    ]
    for module, name, _ in originals:
        setattr(module, name, _refuse(f"{module.__name__}.{name}"))
    try:
        yield
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise RuntimeError(f"{name}() was called while the Worker was imported")

    return refuse
