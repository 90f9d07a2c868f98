"""How many tokens a request and its answer took, where the host does not tell: estimated from their bytes."""

import json
from typing import Any, NamedTuple

from qwen_worker.json_text import parse_object
from qwen_worker.tokens import MESSAGE_TOKENS, TOOLS_TOKENS, estimate_tokens

IMAGE_TOKENS = 1_000
"""What an image within a request counts for."""

_SAMPLED_BYTES = 8_192
_SAMPLED_ANSWER_BYTES = 8_192
_ENDS_BYTES = 1_024
_PARSED_BYTES = 1_024
_PIECES = 8
_BASE64 = b";base64,"

_TEXTS = tuple(
    f'{name}":"'.encode() for name in ("content", "arguments", "delta", "text", "partial_json", "thinking")
)
"""What stands before the texts in chunks and events of any API; `reasoning_content` ends in the first."""


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
    """The tokens of a request.

    Of a small chat request the texts alone are looked at. In larger ones JSON weighs about as much as what
    the model's template puts around messages.
    """
    if not sample.text:
        return 0
    chat = parse_object(sample.text) if sample.size_bytes <= _PARSED_BYTES and not sample.images else None
    if chat is not None and isinstance(chat.get("messages"), list):
        return _tokens_of_chat(chat["messages"], chat.get("tools"))
    tokens = estimate_tokens(_unescaped(sample.text))
    return tokens * sample.size_bytes // len(sample.text) + IMAGE_TOKENS * sample.images


def _tokens_of_chat(messages: list[Any], tools: Any) -> int:
    texts, tokens = [], MESSAGE_TOKENS  # the beginning of the answer
    for message in messages:
        tokens += MESSAGE_TOKENS
        if isinstance(message, dict):
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            texts += [part["text"] for part in parts if isinstance(part, dict) and "text" in part]
            texts += [json.dumps(call.get("function")) for call in _calls(message)]
    if tools:
        tokens += TOOLS_TOKENS
        texts.append(json.dumps(tools, ensure_ascii=False))
    text = "\n".join(text for text in texts if isinstance(text, str))
    return tokens + estimate_tokens(text.encode("utf-8", "surrogatepass"))


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def estimated_output(kept: bytes, size_bytes: int) -> int:
    """The tokens of an answer of `size_bytes`: of a stream the end is kept, of a whole answer everything, in
    which the text begins behind its name.
    """
    is_whole = kept.startswith(b"{")
    sample = kept[:_SAMPLED_ANSWER_BYTES] if is_whole else kept[-_SAMPLED_ANSWER_BYTES:]
    if not sample:
        return 0
    return estimate_tokens(_texts_in(sample)) * size_bytes // len(sample)


def _texts_in(answer: bytes) -> bytes:
    """The texts of JSON that is cut anywhere, one after the other. How JSON is spaced, and what its texts are
    called, is looked up in its beginning and its end: to search all of it would cost as much as the rest.
    """
    ends = answer[:_ENDS_BYTES] + answer[-_ENDS_BYTES:]
    if b'": "' in ends:
        answer, ends = answer.replace(b'": "', b'":"'), ends.replace(b'": "', b'":"')
    if b"\\" in answer:
        # So that a quotation mark is the end of a text.
        answer = answer.replace(b"\\\\", b"/").replace(b'\\"', b"'").replace(b"\\n", b"\n")
    texts = []
    for name in _TEXTS:
        if name in ends:
            texts += [piece[: piece.find(b'"')] for piece in answer.split(name)[1:]]
    return b"".join(texts)


def _unescaped(text: bytes) -> bytes:
    """The text of JSON strings, as far as escapes change the count."""
    return text.replace(b"\\n", b"\n").replace(b'\\"', b'"') if b"\\" in text else text
