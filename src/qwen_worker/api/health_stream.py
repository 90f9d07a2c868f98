"""GET /health/stream: shows whether streams reach a client as they are written.

It writes keep-alives and asks no account, so it costs nothing. A proxy between the gateway and a client that
holds streams back delivers them all at once.
"""

from qwen_worker.api.chat.events import DONE, KEEP_ALIVE
from qwen_worker.api.context import Context
from qwen_worker.api.proxy import STREAM_HEADERS
from qwen_worker.platform.ports import Response, StreamBroken

KEEP_ALIVES = 4
PAUSE_SECONDS = 0.4
PLANNED_MS = int(KEEP_ALIVES * PAUSE_SECONDS * 1000)


async def stream(context: Context) -> None:
    """Says how many milliseconds it will take, writes keep-alives, and ends as a chat stream does."""
    headers = dict(STREAM_HEADERS)
    if context.request.method == "HEAD":
        context.respond(Response(200, headers))
        return
    pipe = context.runtime.open_pipe()
    context.respond(Response(200, headers, pipe.readable))
    try:
        await pipe.write(b": keep-alives for %d ms\n\n" % PLANNED_MS)
        for _ in range(KEEP_ALIVES):
            await context.runtime.clock.sleep(PAUSE_SECONDS)
            await pipe.write(KEEP_ALIVE)
        await pipe.write(DONE)
    except StreamBroken:
        context.log.info("client gone")
    pipe.close()
