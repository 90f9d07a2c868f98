"""What became of a stream, for the log."""

from typing import NamedTuple

from qwen_worker.dialect import Completion


class StreamOutcome(NamedTuple):
    """`size_bytes`: how much went to the client; 0 where only an error did. `kept` is the end of that."""

    completion: Completion
    size_bytes: int
    kept: bytes = b""
