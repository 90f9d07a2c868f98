"""The tokens of a whole request."""

import base64
import json
import struct
from typing import Any

import pytest

from qwen_worker.api.messages.count_tokens import estimate_input_tokens
from qwen_worker.api.messages.image_size import image_size
from qwen_worker.tokens import MESSAGE_TOKENS, TOOLS_TOKENS
from tests.unit.api.messages.bodies import TOOL
from tests.unit.api.messages.vocabulary import token_count
from tests.unit.test_tokens import CHINESE, CODE, ENGLISH


def count(*blocks: dict[str, Any], **fields: Any) -> int:
    return estimate_input_tokens({"messages": [{"role": "user", "content": list(blocks)}], **fields})


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"messages": [{"role": "user", "content": ENGLISH}]}, [ENGLISH]),
        ({"messages": [{"role": "user", "content": [text(ENGLISH), text(CODE)]}]}, [ENGLISH, CODE]),
        ({"system": CHINESE, "messages": [{"role": "user", "content": ENGLISH}]}, [CHINESE, ENGLISH]),
        ({"system": [text("x-anthropic-billing-header: " + CODE), text(CHINESE)],
          "messages": [{"role": "user", "content": ENGLISH}]}, [CHINESE, ENGLISH]),
        ({"messages": [{"role": "assistant", "content": [
            {"type": "thinking", "thinking": ENGLISH, "signature": CODE},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"code": CODE}}]}]},
         [ENGLISH, json.dumps({"code": CODE})]),
        ({"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": [text(ENGLISH)]},
            {"type": "tool_result", "tool_use_id": "d", "content": CODE}]}]}, [ENGLISH, CODE]),
        ({"messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "text", "data": ENGLISH}},
            {"type": "document", "source": {"type": "content", "content": [text(CODE)]}}]}]},
         [ENGLISH, CODE]),
    ],
)  # fmt: skip
def test_every_text_counts(body: dict[str, Any], texts: list[str]) -> None:
    assert estimate_input_tokens(body) == pytest.approx(sum(map(token_count, texts)), rel=0.15)


def test_tools_count() -> None:
    tools = [TOOL | {"description": ENGLISH}, TOOL | {"description": CODE}]
    added = count(tools=tools) - count() - TOOLS_TOKENS
    assert added == pytest.approx(token_count(json.dumps(tools)), rel=0.15)
    assert count(tools=[{"type": "web_search_20250305", "name": "web_search"}]) == count()


def test_messages_count() -> None:
    body = {"messages": [{"role": "user", "content": ""}] * 3}
    assert estimate_input_tokens(body) - count() == pytest.approx(2 * MESSAGE_TOKENS, abs=3)


@pytest.mark.parametrize("content", [None, 1, [1], [{}], [{"type": "image"}], [{"type": "tool_use"}]])
def test_no_block_breaks_it(content: Any) -> None:
    assert estimate_input_tokens({"messages": [{"role": "user", "content": content}]}) > 0


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + struct.pack(">II", width, height)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def jpeg(width: int, height: int) -> bytes:
    preview = b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000)
    return b"\xff\xd8" + preview + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width)


def webp_lossy(width: int, height: int) -> bytes:
    return b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", width, height)


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", bits) + bytes(8)


def webp_extended(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + sizes


@pytest.mark.parametrize("made", [png, gif, jpeg, webp_lossy, webp_lossless, webp_extended])
def test_size_of_an_image(made: Any) -> None:
    assert image_size(base64.b64encode(made(640, 480)).decode()) == (640, 480)


@pytest.mark.parametrize("made", [png, gif, jpeg, webp_lossy, webp_lossless, webp_extended])
def test_an_image_that_is_cut_or_nonsense_has_no_size(made: Any) -> None:
    whole = made(640, 480)
    for length in (0, 1, 8, 12, 16, 20, len(whole) - 3):
        image_size(base64.b64encode(whole[:length]).decode())
    assert image_size("ü") is None
    assert image_size("AAAA") is None


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ({"type": "base64", "data": base64.b64encode(png(640, 480)).decode()}, 300),
        ({"type": "base64", "data": base64.b64encode(png(1, 1)).decode()}, 4),
        ({"type": "base64", "data": base64.b64encode(png(9000, 9000)).decode()}, 2560),
        ({"type": "url", "url": "https://x.test/a.png"}, 1024),
    ],
)
def test_images_count_by_their_size(source: dict[str, Any], tokens: int) -> None:
    assert count({"type": "image", "source": source}) - count() == tokens
    result = {"type": "tool_result", "content": [{"type": "image", "source": source}]}
    assert count(result) - count() == tokens + MESSAGE_TOKENS
