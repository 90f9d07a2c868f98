"""Server-sent events as bytes, in every form that Qwen and the SSE specification allow."""

from __future__ import annotations

from dataclasses import dataclass

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NEWLINES = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How the events of one stream are written: `newline` is a key of NEWLINES, `comment_every` counts
    events.
    """

    newline: str = "lf"
    space: bool = True
    id_lines: bool = False
    event_lines: bool = False
    comment_every: int = 0

    def event(self, payload: str, number: int) -> bytes:
        """Frame one event whose data is `payload`; each of its lines gets its own `data:` line. `number`
        starts at 0.
        """
        end = NEWLINES[self.newline]
        prefix = b"data: " if self.space else b"data:"
        lines: list[bytes] = []
        if self.comment_every and number % self.comment_every == 0:
            lines += [b": comment %d" % number, b""]
        if self.id_lines:
            lines.append(b"id:%d" % (number + 1))
        if self.event_lines:
            lines.append(b"event:result")
        lines += [prefix + line.encode("utf-8", "replace") for line in payload.split("\n")]
        return end.join(lines) + end + end

    def flat_error(self, status: int, payload: str) -> bytes:
        """Frame DashScope's native error event: `id`, `event:error`, the status in a comment, flat data."""
        end = NEWLINES[self.newline]
        lines = [
            b"id:1",
            b"event:error",
            b":HTTP_STATUS/%d" % status,
            b"data:" + payload.encode("utf-8", "replace"),
        ]
        return end.join(lines) + end + end
