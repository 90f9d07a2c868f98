"""The last bytes of a natively relayed stream so far. Nothing else of it is kept."""

KEPT_BYTES = 32_768
"""How much of the end of a stream is kept."""


class StreamTail:
    """The last bytes that went to the client, and how many there were."""

    __slots__ = ("kept", "size_bytes")

    def __init__(self) -> None:
        self.kept = b""
        self.size_bytes = 0

    def feed(self, data: bytes) -> None:
        """Notes the next bytes that went to the client."""
        self.size_bytes += len(data)
        self.kept = (self.kept + data)[-KEPT_BYTES:] if len(data) < KEPT_BYTES else data[-KEPT_BYTES:]
