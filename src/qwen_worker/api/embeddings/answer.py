"""What the hosts answer with, put together again and spelled as the client wants it."""

import json
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any, NamedTuple

from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.gather import summed_usage
from qwen_worker.dialect import Completion
from qwen_worker.errors import UpstreamUnavailable
from qwen_worker.upstream.whole_answer import WholeAnswer

PackFloats = Callable[[list[bytes]], list[bytes]]
"""As `Runtime.pack_floats`."""


class EmbeddingsDialect(ChatDialect):
    """Implements `dialect.Dialect`. There are no streams of embeddings; errors are those of chat
    completions.
    """

    def __init__(self) -> None:
        super().__init__(include_usage=False)

    def completion_of(self, answer: Any) -> Completion | None:
        """What a list of embeddings tells; None for anything else."""
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not data or answer.get("error"):
            return None
        if not all(isinstance(item, dict) and "embedding" in item for item in data):
            return None
        usage = answer.get("usage")
        return Completion(None, None, usage if isinstance(usage, dict) else None)


class Part(NamedTuple):
    """What is left of one batch's answer."""

    items: bytes
    """The vectors as JSON texts, separated by commas."""
    others: dict[str, Any]
    """All of the answer but the vectors."""


def part_of(answer: WholeAnswer, batch: range, pack_floats: PackFloats | None) -> Part:
    """The answer to one batch, as `reading.read_vectors` has read it, with the indexes that the texts have in
    the client's request.

    `pack_floats` makes the vectors base64; without it they stay as the host has
    spelled them. Raises UpstreamUnavailable for an answer with too few vectors, or with something else.
    """
    data = answer.value["data"]
    if len(data) != len(batch):
        raise UpstreamUnavailable("Qwen's answer does not hold one embedding for each input.")
    spelled = _spelled([item["embedding"] for item in data], pack_floats)
    items = []
    for place, (item, embedding) in enumerate(zip(data, spelled, strict=True)):
        index = item.get("index")
        number = batch.start + (index if isinstance(index, int) else place)
        others = {name: value for name, value in item.items() if name != "embedding"}
        start = json.dumps({**others, "index": number})[:-1].encode()
        items.append(b'%b, "embedding": %b}' % (start, embedding))
    others = {name: value for name, value in answer.value.items() if name != "data"}
    return Part(b",".join(items), others)


def head_of(parts: list[Part]) -> bytes:
    """The answer up to its vectors, the last member; `TAIL` follows them. What was used is summed up."""
    others = {"object": "list", **parts[0].others}
    usage = usage_of(parts)
    if usage is not None:
        others["usage"] = usage
    return json.dumps(others)[:-1].encode() + b', "data": ['


TAIL = b"]}"


def usage_of(parts: list[Part]) -> dict[str, Any] | None:
    """The token counts of all parts; None if no host tells any."""
    return summed_usage(part.others.get("usage") for part in parts)


def _spelled(embeddings: list[Any], pack_floats: PackFloats | None) -> list[bytes]:
    """The JSON of each embedding. Raises UpstreamUnavailable."""
    # A list is what does not hold numbers only, or is not at its place.
    found = [json.dumps(value)[1:-1].encode() if isinstance(value, list) else value for value in embeddings]
    vectors = [value for value in found if isinstance(value, bytes)]
    if pack_floats is None:
        spelled = iter([b"[%b]" % vector for vector in vectors])
    elif all(isinstance(value, bytes | str) for value in found):
        spelled = iter(_in_base64(vectors, pack_floats))
    else:
        raise _no_numbers()
    return [next(spelled) if isinstance(value, bytes) else json.dumps(value).encode() for value in found]


def _in_base64(vectors: list[bytes], pack_floats: PackFloats) -> list[bytes]:
    """The JSON of vectors as little-endian float32 in base64. Raises UpstreamUnavailable."""
    try:
        packed = pack_floats(vectors)
    except ValueError:
        raise _no_numbers() from None
    return [b'"%b"' % b2a_base64(vector, newline=False) for vector in packed]


def _no_numbers() -> UpstreamUnavailable:
    return UpstreamUnavailable("Qwen's answer holds an embedding that is no list of numbers.")
