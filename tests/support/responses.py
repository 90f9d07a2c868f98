"""The response that a request's work begins, while the work goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from qwen_worker.app import Gateway
from qwen_worker.platform.ports import Respond, Response, Runtime
from qwen_worker.platform.protocols import InboundRequest

_running: set[asyncio.Task[None]] = set()


async def response_of(work: Callable[[Respond], Coroutine[Any, Any, None]]) -> Response:
    """What `work` responds with. An exception that comes before is raised here."""
    response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(work(response.set_result))
    _running.add(task)
    task.add_done_callback(_running.discard)
    await asyncio.wait((response, task), return_when=asyncio.FIRST_COMPLETED)
    if not response.done():
        task.result()
        raise AssertionError("ended without a response")
    return response.result()


async def gateway_response(gateway: Gateway, request: InboundRequest, runtime: Runtime) -> Response:
    """The gateway's response to a request."""
    return await response_of(lambda respond: gateway.handle(request, runtime, respond))
