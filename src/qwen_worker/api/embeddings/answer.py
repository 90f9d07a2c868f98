"""What the hosts answer with, put together again and spelled as the client wants it."""

import json
import re
import struct
from binascii import b2a_base64
from typing import Any, NamedTuple

from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.gather import summed_usage
from qwen_worker.dialect import Completion
from qwen_worker.errors import UpstreamUnavailable
from qwen_worker.json_scan import scan_object, skip_spaces
from qwen_worker.json_text import BYTE_ORDER_MARK, parse
from qwen_worker.upstream.whole_answer import WholeAnswer

_indexes = re.compile(r'"index"\s*:\s*(\d+)')
"""A quotation mark inside a JSON string is escaped, so this matches real keys only."""


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


_KEY = b'"embedding"'
_array = re.compile(rb"\s*:\s*\[").match
_OF_NUMBERS = b"0123456789+-.eE, \t\r\n"


def without_vectors(answer: bytes) -> Any:
    """The JSON of an answer, with an empty array for each vector of numbers. Raises JsonTextError.

    Ten vectors of 1,024 numbers take 4 ms to read, and nobody here looks at them.
    """
    pieces: list[bytes] = []
    copied = 0
    key = answer.find(_KEY)
    while key >= 0:
        position = key + len(_KEY)
        if array := _array(answer, position):
            position = answer.find(b"]", array.end())
            if position < 0:
                break
            if not answer[array.end() : position].translate(None, _OF_NUMBERS):
                pieces.append(answer[copied : array.end()])
                copied = position
        key = answer.find(_KEY, position)
    pieces.append(answer[copied:])
    return parse(b"".join(pieces))


class Part(NamedTuple):
    """What is left of one batch's answer."""

    items: bytes
    """The vectors as JSON texts, separated by commas."""
    others: dict[str, Any]
    """All of the answer but the vectors."""


def part_of(answer: WholeAnswer, batch: range, *, is_base64: bool) -> Part:
    """The answer to one batch, with the indexes that the texts have in the client's request.

    Raises UpstreamUnavailable for an answer with too few vectors, or with something else.
    """
    data = answer.value["data"]
    if len(data) != len(batch):
        raise UpstreamUnavailable("Qwen's answer does not hold one embedding for each input.")
    items = _in_base64(data, batch.start) if is_base64 else _moved(answer.data, batch.start)
    others = {name: value for name, value in answer.value.items() if name != "data"}
    return Part(items.encode("latin-1"), others)


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


def _moved(answer: bytes, by: int) -> str:
    """The vectors of an answer as the host has spelled them, with their indexes moved."""
    text = answer.removeprefix(BYTE_ORDER_MARK).decode("latin-1")
    data = scan_object(text, skip_spaces(text, 0)).members["data"]
    items = text[data.value_start + 1 : data.end - 1]
    return _indexes.sub(lambda found: f'"index":{int(found[1]) + by}', items) if by else items


def _in_base64(data: list[dict[str, Any]], by: int) -> str:
    items = []
    for place, item in enumerate(data):
        index = item.get("index")
        number = by + (index if isinstance(index, int) else place)
        items.append(json.dumps({**item, "index": number, "embedding": _encoded(item["embedding"])}))
    return ",".join(items)


def _encoded(vector: Any) -> str:
    """A vector as little-endian float32 in base64; a text is encoded already."""
    if isinstance(vector, str):
        return vector
    try:
        return b2a_base64(struct.pack(f"<{len(vector)}f", *vector), newline=False).decode()
    except (TypeError, struct.error, OverflowError):
        raise UpstreamUnavailable("Qwen's answer holds an embedding that is no list of numbers.") from None
