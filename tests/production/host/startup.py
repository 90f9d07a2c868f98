"""What a Worker must not touch while its modules are imported: entropy and the clock.

Production fails the deployment, or freezes one isolate's random numbers into the snapshot of all.
"""

import os
import random
import time
from contextlib import contextmanager

_FORBIDDEN = (
    *((os, name) for name in ("urandom", "getrandom") if hasattr(os, name)),
    *((random, name) for name in ("random", "randint", "randrange", "choice", "uniform", "getrandbits", "seed")),
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")),
)


@contextmanager
def import_rules():
    """Calls of forbidden functions raise for the time of the import."""
    originals = [(module, name, getattr(module, name)) for module, name in _FORBIDDEN]
    for module, name, _ in originals:
        setattr(module, name, _refuse(f"{module.__name__}.{name}"))
    try:
        yield
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def _refuse(name):
    def refuse(*_args, **_kwargs):
        raise RuntimeError(f"{name}() was called while the Worker was imported")

    return refuse
