import hashlib

from qwen_worker.fingerprint import fingerprint


def test_a_fingerprint_is_128_bits_of_sha256() -> None:
    assert fingerprint("refresh-token-1") == hashlib.sha256(b"refresh-token-1").hexdigest()[:32]


def test_the_border_between_two_parts_counts() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
