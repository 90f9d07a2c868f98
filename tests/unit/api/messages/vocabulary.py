"""Qwen's own tokenizer, to hold our estimates against."""

import base64
import importlib.util
from functools import cache
from pathlib import Path

import tiktoken

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizer cuts a text before it looks for entries."""


def token_count(text: str) -> int:
    """The tokens of a text."""
    return len(_tokenizer().encode_ordinary(text))


@cache
def _tokenizer() -> tiktoken.Encoding:
    package = importlib.util.find_spec("dashscope")
    assert package is not None
    assert package.origin is not None
    lines = (Path(package.origin).parent / "resources" / "qwen.tiktoken").read_bytes().splitlines()
    entries = (line.split() for line in lines)
    ranks = {base64.b64decode(token): int(rank) for token, rank in entries}
    return tiktoken.Encoding("qwen", pat_str=_WORDS, mergeable_ranks=ranks, special_tokens={})
