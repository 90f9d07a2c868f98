"""Compressed bodies of requests."""

import gzip
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.content_encoding import decode_body
from qwen_worker.errors import PayloadTooLarge, ProxyError, UnsupportedEncoding

LIMIT = 1_000_000
BODY = b'{"messages":[]}' * 100


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("gzip, deflate", lambda data: zlib.compress(gzip.compress(data, mtime=0))),
        ("identity, gzip", gzip.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_what_was_compressed_is_what_it_was(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    for body in (BODY, b"", b"x" * LIMIT):
        assert decode_body(compress(body), encoding, LIMIT) == body


def test_several_gzips_in_a_row_are_one_body() -> None:
    assert (
        decode_body(
            gzip.compress(b"a", mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"b", mtime=0),
            "gzip",
            2,
        )
        == b"ab"
    )
    with pytest.raises(PayloadTooLarge):
        decode_body(gzip.compress(b"a", mtime=0) + gzip.compress(b"bc", mtime=0), "gzip", 2)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (BODY, "gzip"),
        (BODY, "deflate"),
        (b"", "gzip"),
        (b"", "deflate"),
        (gzip.compress(BODY, mtime=0)[:-1], "gzip"),
        (gzip.compress(BODY, mtime=0) + b"x", "gzip"),
        (gzip.compress(BODY, mtime=0), "deflate"),
        (zlib.compress(BODY), "gzip"),
        (raw_deflate(BODY)[:-1], "deflate"),
        (BODY, "br"),
        (BODY, "compress"),
    ],
)
def test_what_cannot_be_decoded_is_a_415_that_names_the_encoding(data: bytes, encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding) as refused:
        decode_body(data, encoding, LIMIT)

    assert (refused.value.status, refused.value.code) == (415, "unsupported_content_encoding")
    assert f"'{encoding}'" in refused.value.message
    assert "gzip, deflate" in refused.value.headers()["accept-encoding"]


@pytest.mark.parametrize("encoding", ["SECRET\n" * 2, "x" * 100, "g\u00e9zip"])
def test_only_what_looks_like_a_name_is_quoted(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding) as refused:
        decode_body(BODY, encoding, LIMIT)
    assert encoding.lower() not in refused.value.message


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000), mtime=0)
    started = time.process_time()

    with pytest.raises(PayloadTooLarge):
        decode_body(bomb, "gzip, gzip", LIMIT)
    with pytest.raises(UnsupportedEncoding):
        decode_body(bomb, "gzip, gzip, gzip", LIMIT)

    assert time.process_time() - started < 0.5


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "deflate, gzip", "zstd"]))
def test_no_bytes_raise_anything_else(data: bytes, encoding: str) -> None:
    for candidate in (
        data,
        gzip.compress(data, mtime=0),
        zlib.compress(data),
        gzip.compress(data, mtime=0)[: len(data)],
    ):
        try:
            decode_body(candidate, encoding, LIMIT)
        except ProxyError:
            continue


def test_zstd_where_python_has_it() -> None:
    zstd = pytest.importorskip("compression.zstd", reason="Python 3.14 has it")

    assert decode_body(zstd.compress(BODY), "zstd", LIMIT) == BODY
    for broken in (BODY, zstd.compress(BODY)[:-1], b""):
        with pytest.raises(UnsupportedEncoding, match="'zstd'"):
            decode_body(broken, "zstd", LIMIT)
    with pytest.raises(PayloadTooLarge):
        decode_body(zstd.compress(b"\0" * 10_000_000), "zstd", LIMIT)
