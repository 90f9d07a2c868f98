# The part of the Workers SDK (workers-runtime-sdk) that this project uses. The embedded runtime has no SDK.

from typing import Any

class WorkerEntrypoint:
    ctx: Any
    env: Any
    def __init__(self, ctx: Any, env: Any) -> None: ...

def python_from_rpc(obj: Any) -> Any: ...
def python_to_rpc(obj: Any) -> Any: ...
