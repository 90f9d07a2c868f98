"""Fingerprints of secrets: they are remembered, compared and stored in place of the secrets."""

try:
    # `hashlib` costs 18 ms to load in the embedded runtime. The standard library's own `random`, which is
    # loaded at any rate, takes its hash from this module for the same reason.
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from hashlib import sha256


def fingerprint(*parts: str) -> str:
    """The first 128 bits, in hexadecimal, of the SHA-256 of `parts`.

    Tokens are long and random, so a fingerprint neither reveals one nor collides by accident.
    """
    return sha256_of("\0".join(parts).encode()).hex()[:32]


def sha256_of(data: bytes) -> bytes:
    """The SHA-256 of `data`."""
    digest: bytes = sha256(data).digest()
    return digest
