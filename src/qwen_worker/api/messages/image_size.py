"""How large an image is, from the first bytes of its file: what Qwen counts as tokens."""

import binascii
from typing import Literal

_HEAD_CHARACTERS = 131_072
"""How much of the base64 is looked at: a JPEG's size may stand behind a preview of up to 64 KB."""


def image_size(data: str) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, GIF, WebP or JPEG in base64, or None."""
    try:
        head = binascii.a2b_base64(data[:_HEAD_CHARACTERS])
    except (binascii.Error, ValueError):
        return None
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        return _size(head[16:20], head[20:24], "big")
    if head.startswith(b"GIF8") and len(head) >= 10:
        return _size(head[6:8], head[8:10], "little")
    if head[8:12] == b"WEBP" and len(head) >= 30:
        return _webp_size(head)
    return _jpeg_size(head) if head.startswith(b"\xff\xd8") else None


def _size(width: bytes, height: bytes, order: Literal["big", "little"]) -> tuple[int, int]:
    return int.from_bytes(width, order), int.from_bytes(height, order)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """WebP has three forms: lossy, lossless and extended."""
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = _size(head[26:28], head[28:30], "little")
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        width, height = _size(head[24:27], head[27:30], "little")
        return width + 1, height + 1
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """A JPEG is a row of segments: the size is in the one that starts the frame."""
    position = 2
    while position + 9 <= len(head) and head[position] == 0xFF:
        marker = head[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _size(head[position + 7 : position + 9], head[position + 5 : position + 7], "big")
        position += 2 + int.from_bytes(head[position + 2 : position + 4], "big")
    return None
