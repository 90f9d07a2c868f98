"""The last write of a stream."""

import asyncio

from qwen_worker.platform.ports import Pipe


async def write_last(pipe: Pipe, data: bytes) -> None:
    """Sends what ends the stream. Raises StreamBroken.

    The end of the response is the end of the request: what the event loop has still to do for a write would
    never be done then, nor its memory given back.
    """
    await pipe.write(data)
    await asyncio.sleep(0)
