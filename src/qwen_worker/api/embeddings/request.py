"""The body of POST /v1/embeddings, and how it is cut into what a host takes at once."""

from typing import Any, NamedTuple
from zlib import crc32

from qwen_worker.api.chat.request import named_model, scan_request
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import Items
from qwen_worker.models import DEFAULT_EMBEDDING_MODEL
from qwen_worker.upstream.chat_body import ChatBody
from qwen_worker.upstream.rules.common import name_the_model
from qwen_worker.upstream.rules.draft import Draft
from qwen_worker.validation import Check, integer, missing, texts

HOST_INPUTS = 10
"""How many texts DashScope takes in a request: "batch size is invalid, it should not be larger than 10"."""

MOST_INPUTS = 2048
"""How many OpenAI takes."""


class EmbeddingsRequest(NamedTuple):
    """A checked request."""

    body: ChatBody
    model: str
    inputs: Items | None
    """Where each text is; None for a single text that is in no array."""
    size: int
    """How many texts there are."""
    is_base64: bool
    """Whether the vectors shall be little-endian float32 in base64, as OpenAI's SDKs ask by default."""

    def key(self) -> int:
        """A number that tells this request from others, most likely."""
        place = self.body.members["input"].value_start
        return crc32(self.body.raw[place : place + 1024])

    @property
    def batches(self) -> list[range]:
        """The numbers of the texts of each request to a host."""
        return [
            range(start, min(start + HOST_INPUTS, self.size)) for start in range(0, self.size, HOST_INPUTS)
        ]

    def body_for(self, batch: range, model: str) -> bytes:
        """The body for a host that knows floats only, with the texts of one batch: the client's own bytes if
        nothing is different.
        """
        named = self.body.value("model")
        draft = Draft(self.body, named if isinstance(named, str) and named.isascii() else None, model)
        name_the_model(draft)
        if self.is_base64:
            draft.set("encoding_format", "float")
        for name in [name for name, value in draft.fields.items() if value is None]:
            draft.drop(name)
        if self.inputs is not None and len(batch) < self.size:
            start, end = self.inputs.start(batch[0]), self.inputs.end(batch[-1])
            draft.set("input", None, f"[{self.body.text[start:end]}]")
        return draft.to_bytes()


def parse_embeddings_request(raw: bytes) -> EmbeddingsRequest:
    """Checks a body. Raises InvalidRequest, and nothing else, whatever the bytes are."""
    body = scan_request(raw)
    model = named_model(body) or DEFAULT_EMBEDDING_MODEL
    for name, check in _CHECKS.items():
        value = body.value(name)
        if value is not None:
            check(name, value)
    member = body.members.get("input")
    if member is None or member.value is None:
        raise missing("input")
    value = member.value
    is_base64 = body.value("encoding_format") == "base64"
    _check_input("input", value)
    if isinstance(value, str):
        return EmbeddingsRequest(body, model, None, 1, is_base64)
    items = Items(body.text, member.value_start, member.end, value)
    return EmbeddingsRequest(body, model, items, len(value), is_base64)


def _encoding_format(name: str, value: Any) -> None:
    if value not in ("float", "base64"):
        raise InvalidRequest(f"Invalid value for '{name}': expected 'float' or 'base64'.", param=name)


_CHECKS: dict[str, Check] = {"encoding_format": _encoding_format, "dimensions": integer(1)}


_check_texts = texts(
    MOST_INPUTS,
    "Have your client send texts: in LangChain's OpenAIEmbeddings, set check_embedding_ctx_length=False.",
)


def _check_input(name: str, value: Any) -> None:
    _check_texts(name, value)
    if not value:
        raise _empty(name)
    if isinstance(value, list) and not all(value):
        raise _empty(f"{name}[{value.index('')}]")


def _empty(name: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{name}': empty string. Expected a text.", param=name)
