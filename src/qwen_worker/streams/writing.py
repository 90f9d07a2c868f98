"""The last write of a stream."""

import asyncio

from qwen_worker.platform.ports import Pipe


async def write_last(pipe: Pipe, data: bytes) -> None:
    """Sends what ends the stream. Raises StreamBroken.

    The request ends with the response. So the event loop gets a turn first to finish the write; otherwise the
    memory of the write would never be freed.
    """
    await pipe.write(data)
    await asyncio.sleep(0)
