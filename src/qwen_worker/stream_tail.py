"""The last bytes of a natively relayed stream so far. Nothing else of it is kept."""

KEPT_BYTES = 32_768
"""How much of the end of a stream is kept, where its last events are not longer."""


class StreamTail:
    """The last bytes that went to the client, and how many there were."""

    __slots__ = ("_held_bytes", "_most", "_pieces", "size_bytes")

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.size_bytes = 0
        self._most = kept_bytes
        self._pieces: list[bytes] = []
        self._held_bytes = 0

    @property
    def kept(self) -> bytes:
        """The last bytes."""
        return self._pieces[0] if len(self._pieces) == 1 else self._joined()

    def feed(self, data: bytes) -> None:
        """Notes the next bytes that went to the client."""
        size_bytes = len(data)
        self.size_bytes += size_bytes
        if size_bytes >= self._most:
            self._pieces = [data[-self._most :]]
            self._held_bytes = self._most
            return
        self._pieces.append(data)
        self._held_bytes += size_bytes
        if self._held_bytes > 2 * self._most:
            self._joined()

    def _joined(self) -> bytes:
        """Makes one piece of all, and drops what is too much."""
        kept = b"".join(self._pieces)[-self._most :]
        self._pieces = [kept]
        self._held_bytes = len(kept)
        return kept
