"""Compressed bodies of requests (`content-encoding`).

Python decompresses, not the runtime. Python can stop at the limit, while `DecompressionStream` would unpack a
whole decompression bomb into memory. And a body that is no gzip raises an exception in Python, while it has
ended the process of older runtimes.
"""

import zlib
from typing import Any

from qwen_worker.errors import PayloadTooLarge, UnsupportedEncoding

_MOST_CODINGS = 2
_LONGEST_NAME = 32


def decode_body(data: bytes, encoding: str, limit_bytes: int) -> bytes:
    """The body without the codings that a `content-encoding` header lists, the last applied first.

    Raises PayloadTooLarge if it, or the result of one of several codings, is larger than `limit_bytes`, and
    UnsupportedEncoding if it cannot be decoded.
    """
    codings = [
        coding for name in encoding.lower().split(",") if (coding := name.strip()) not in ("", "identity")
    ]
    if len(codings) > _MOST_CODINGS:
        raise _refusal("The request body is compressed too many times.")
    for coding in reversed(codings):
        data = _decode(data, coding, limit_bytes)
    return data


def _decode(data: bytes, coding: str, limit_bytes: int) -> bytes:
    is_known = coding.removeprefix("x-") in ("gzip", "deflate") or (coding == "zstd" and _zstd() is not None)
    if not is_known:
        name = (
            coding
            if len(coding) <= _LONGEST_NAME and coding.isascii() and coding.isprintable()
            else "this one"
        )
        raise _refusal(f"The content encoding '{name}' is not supported.")
    pieces: list[bytes] = []
    room = limit_bytes
    try:
        # A body may be several compressed ones in a row (RFC 1952, RFC 8878).
        while data or not pieces:
            decompressor = _decompressor(coding, data)
            piece = decompressor.decompress(data, room + 1)
            if len(piece) > room:
                raise PayloadTooLarge(
                    f"The request body is larger than {limit_bytes} bytes when decompressed."
                )
            if not decompressor.eof:
                raise EOFError
            pieces.append(piece)
            room -= len(piece)
            data = decompressor.unused_data
    except _failures(coding):
        raise _refusal(
            f"The request body cannot be decoded as '{coding}', which its content-encoding says it is."
        ) from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decompressor(coding: str, data: bytes) -> Any:
    if coding == "zstd":
        zstd = _zstd()
        # RFC 8878 asks decoders to support windows of 8 MB. If more were allowed, a few bytes could claim
        # much memory.
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 23})
    if coding.endswith("gzip"):
        return zlib.decompressobj(31)
    # "deflate" is the zlib format, but many send it raw (RFC 9110, section 8.4.1.2).
    has_zlib_header = len(data) > 1 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return zlib.decompressobj(15 if has_zlib_header else -15)


def _failures(coding: str) -> tuple[type[Exception], ...]:
    return (_zstd().ZstdError if coding == "zstd" else zlib.error, EOFError)


def _refusal(message: str) -> UnsupportedEncoding:
    error = UnsupportedEncoding(message)
    if _zstd() is not None:
        error.accepted += ", zstd"
    return error


def _zstd() -> Any:
    """The module that Python has from 3.14 on, or None."""
    from importlib import import_module

    try:
        return import_module("compression.zstd")
    except ModuleNotFoundError:
        return None
