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
    digest: str = sha256("\0".join(parts).encode()).hexdigest()
    return digest[:32]
