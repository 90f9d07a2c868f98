"""What the keys of one label have used today, as far as this isolate knows."""

READ_EVERY_MS = 60_000
"""How old what the database has said may be."""


class Budget:
    """The tokens of one label in one UTC day.

    `stored` is what the database holds; `unwritten` what this isolate has counted and not written to it.
    """

    __slots__ = ("day", "read_ms", "stored", "unwritten")

    def __init__(self, day: str) -> None:
        self.day = day
        self.stored = 0
        self.unwritten = 0
        self.read_ms: int | None = None
        """When the database was asked last; None: never."""

    @property
    def spent(self) -> int:
        """The tokens used."""
        return max(0, self.stored + self.unwritten)

    def begin(self, day: str, now_ms: int) -> None:
        """Begins a new day with nothing used, if it is one."""
        if day != self.day:
            self.day = day
            self.stored = self.unwritten = 0
            if self.read_ms is not None:
                self.read_ms = now_ms

    def is_due(self, now_ms: int) -> bool:
        """Whether the database is to be asked."""
        return self.read_ms is None or now_ms - self.read_ms >= READ_EVERY_MS

    def note_written(self, day: str, tokens: int) -> None:
        """Notes that tokens of a day, counted here, have been written to the database."""
        if day == self.day:
            self.stored += tokens
            self.unwritten -= tokens

    def note_reading(self, day: str, tokens: int | None, now_ms: int) -> None:
        """Notes what the database has said of a day; `tokens` is None if it did not answer."""
        self.read_ms = now_ms
        if day == self.day and tokens is not None:
            self.stored = tokens
