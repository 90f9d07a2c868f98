"""The last bytes of a natively relayed stream so far. Nothing else of it is kept."""

KEPT_BYTES = 32_768
"""How much of the end of a stream is kept, where its last events are not longer."""


class StreamTail:
    """The last bytes that went to the client, and how many there were."""

    __slots__ = ("_most", "kept", "size_bytes")

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.kept = b""
        self.size_bytes = 0
        self._most = kept_bytes

    def feed(self, data: bytes) -> None:
        """Notes the next bytes that went to the client."""
        self.size_bytes += len(data)
        most = self._most
        self.kept = (self.kept + data)[-most:] if len(data) < most else data[-most:]
