"""The port that packs numbers, in plain Python."""

import json
import struct
from math import isfinite
from typing import Any


def pack_floats(arrays: list[bytes]) -> list[bytes]:
    """`Runtime.pack_floats`."""
    return [_pack(json.loads(b"[%b]" % array)) for array in arrays]


def _pack(values: list[Any]) -> bytes:
    try:
        if not all(type(value) in (int, float) and isfinite(value) for value in values):
            raise ValueError("no numbers")
        return struct.pack(f"<{len(values)}f", *values)
    except (struct.error, OverflowError):
        raise ValueError("a number is too large") from None
