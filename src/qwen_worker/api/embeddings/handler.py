"""POST /v1/embeddings."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from qwen_worker.api.body import read_body
from qwen_worker.api.context import Context
from qwen_worker.api.embeddings.answer import (
    TAIL,
    EmbeddingsDialect,
    Part,
    head_of,
    part_of,
    usage_of,
)
from qwen_worker.api.embeddings.reading import read_ends, read_vectors
from qwen_worker.api.embeddings.request import EmbeddingsRequest, parse_embeddings_request
from qwen_worker.api.gather import AT_ONCE, Gathering
from qwen_worker.api.proxy import proxy
from qwen_worker.dialect import Completion
from qwen_worker.platform.ports import Response, StreamBroken
from qwen_worker.upstream.call import Call, HostApi, Prepared, Target
from qwen_worker.upstream.hosts import has_embeddings

PATH = "/embeddings"
API = HostApi("embeddings", has_embeddings)
DIALECT = EmbeddingsDialect()


async def create_embeddings(context: Context) -> None:
    """Passes a request on that a host can answer as it is; otherwise asks in several, and joins the
    answers.
    """
    request = parse_embeddings_request(await read_body(context))
    context.log.debug("new embeddings request", model=request.model, inputs=request.size)
    if context.meter is not None:
        context.meter.inputs = request.size
    batches = request.batches
    if len(batches) == 1 and not request.is_base64:
        await proxy(_call(request, batches[0], read_ends), context)
        return
    gathering = Gathering([_call(request, batch, read_vectors) for batch in batches], context)
    pack_floats = context.runtime.pack_floats if request.is_base64 else None
    parts = await gathering.answers(lambda number, answer: part_of(answer, batches[number], pack_floats))
    size_bytes = await _respond(parts, gathering.headers, context)
    gathering.log_end(Completion(usage=usage_of(parts)), size_bytes)


def _call(request: EmbeddingsRequest, batch: range, read: Callable[[bytes], Any]) -> Call:
    """One request to a host. The batches have one key, so that they are a burst, which is spread over the
    accounts, and do not push conversations out of the memory.
    """
    return Call(request.model, False, request.key, DIALECT, partial(_prepare, request, batch, read), api=API)


def _prepare(
    request: EmbeddingsRequest, batch: range, read: Callable[[bytes], Any], target: Target
) -> Prepared:
    body = request.body_for(batch, target.model)
    return Prepared(f"{target.base_url}{PATH}", body, DIALECT, read=read)


async def _respond(parts: list[Part], headers: dict[str, str], context: Context) -> int:
    """Responds, with many parts piece by piece: the whole of them may be large. The size in bytes."""
    headers = {**headers, "content-type": "application/json"}
    pieces = [head_of(parts)]
    for part in parts:
        pieces += (part.items, b",")
    pieces[-1] = TAIL
    if len(parts) <= AT_ONCE:
        context.respond(Response(200, headers, b"".join(pieces)))
    else:
        pipe = context.runtime.open_pipe()
        context.respond(Response(200, headers, pipe.readable))
        with suppress(StreamBroken):
            for piece in pieces:
                await pipe.write(piece)
        pipe.close()
    return sum(map(len, pieces))
