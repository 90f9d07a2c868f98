"""How many tokens a request and its answer took, where the host does not tell: estimated from their bytes."""

import re
from typing import NamedTuple

from qwen_worker.tokens import estimate_tokens

IMAGE_TOKENS = 1_000
"""What an image within a request counts for."""

_SAMPLED_BYTES = 8_192
_PIECES = 8
_BASE64 = b";base64,"

# A quotation mark inside a JSON string is escaped, so this finds real members only.
_texts = re.compile(
    rb'"(?:content|reasoning_content|arguments|delta|text|partial_json|thinking)" ?: ?"((?:[^"\\]|\\.)*)"'
).findall


class RequestSample(NamedTuple):
    """What is kept of a request's body while it is being answered."""

    text: bytes
    """The body, or pieces of it, which stand for all."""
    size_bytes: int
    """How long all is, without its images."""
    images: int


def sample_of(body: bytes) -> RequestSample:
    """The sample of a body in JSON. A small body is not copied."""
    if len(body) <= _SAMPLED_BYTES:
        return RequestSample(body, len(body), 0)
    texts, images = _without_images(body) if _BASE64 in body else ([body], 0)
    size = sum(map(len, texts))
    if len(texts) > 1:
        body = b"".join(texts) if size <= _SAMPLED_BYTES else max(texts, key=len)
    if len(body) > _SAMPLED_BYTES:
        piece = _SAMPLED_BYTES // _PIECES
        body = b"".join([body[start : start + piece] for start in range(0, len(body), len(body) // _PIECES)])
    return RequestSample(body, size, images)


def _without_images(body: bytes) -> tuple[list[bytes], int]:
    """What lies between the images of a body, and how many there are."""
    texts, start, images = [], 0, 0
    while (found := body.find(_BASE64, start)) >= 0:
        texts.append(body[start:found])
        images += 1
        end = body.find(b'"', found)
        start = len(body) if end < 0 else end
    texts.append(body[start:])
    return texts, images


def estimated_input(sample: RequestSample) -> int:
    """The tokens of a request."""
    if not sample.text:
        return 0
    tokens = estimate_tokens(_unescaped(sample.text))
    return tokens * sample.size_bytes // len(sample.text) + IMAGE_TOKENS * sample.images


def estimated_output(kept: bytes, size_bytes: int) -> int:
    """The tokens of an answer of `size_bytes`, a stream or not, of which the end is kept."""
    if not kept:
        return 0
    tokens = estimate_tokens(_unescaped(b"".join(_texts(kept))))
    return tokens * size_bytes // len(kept)


def _unescaped(text: bytes) -> bytes:
    """The text of JSON strings, as far as escapes change the count."""
    return text.replace(b"\\n", b"\n").replace(b'\\"', b'"') if b"\\" in text else text
