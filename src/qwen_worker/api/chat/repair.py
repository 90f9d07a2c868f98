"""A stream of chat completion chunks, event by event, for what native relaying cannot mend.

Framing is made plain (`data: ...` and a blank line, nothing else), usage chunks that nobody asked for are
left out, an error becomes one that clients understand, nothing follows `[DONE]`, and a stream with an
unfinished choice never ends as if it were complete. Oddities of single chunks are mended by `chunk_repairs`.
A chunk without any goes through as the text that Qwen sent.
"""

import json
from typing import Any

from qwen_worker.api.chat.chunk_repairs import ChunkRepairs, give_usage_choices
from qwen_worker.api.chat.events import DONE, error_event
from qwen_worker.delta_pattern import DeltaPattern
from qwen_worker.dialect import EventError
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated
from qwen_worker.json_text import parse_object
from qwen_worker.sse import Event, EventParser


class StreamRepairer:
    """Qwen's bytes in, the client's bytes out. Implements `dialect.Translator`."""

    def __init__(self, *, include_usage: bool, event_error: EventError) -> None:
        self._include_usage = include_usage
        self._event_error = event_error
        self._parser = EventParser()
        self._repairs = ChunkRepairs()
        self._sound = DeltaPattern()
        """What a chunk that needs no repair looks like."""
        self._finish_reasons: dict[int, str | None] = {}
        self.usage: dict[str, Any] | None = None
        self.error: ProxyError | None = None
        self.is_over = False
        """Whether nothing more of Qwen's may follow: it has sent `[DONE]` or an error."""

    def feed(self, data: bytes) -> bytes:
        """What to send when `data` has arrived; may be empty."""
        return _encoded(self._chunks(data))

    def end(self, failure: ProxyError | None) -> bytes:
        """What ends the stream. `failure` is what ended it, None if Qwen did."""
        out = b"" if self.is_over else _encoded(self._chunks(b"\n\n", is_cut_off=True))
        if self.error is None and not self._is_finished:
            self.error = failure or StreamTruncated("Qwen's stream ended before the completion was finished.")
        return out + (DONE if self.error is None else error_event(self.error) + DONE)

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A whole completion needs no repair."""
        return answer

    @property
    def finish_reason(self) -> str | None:
        """How the first choice ended."""
        return next((reason for reason in self._finish_reasons.values() if reason), None)

    @property
    def _is_finished(self) -> bool:
        return bool(self._finish_reasons) and all(self._finish_reasons.values())

    def _chunks(self, data: bytes, *, is_cut_off: bool = False) -> list[str]:
        """The chunks, as JSON text, that `data` completes. With `is_cut_off`, an event that is no JSON is
        ignored: it was not sent to its end.
        """
        chunks: list[str] = []
        for event in self._parser.feed(data):
            if self._is_sound(event):
                chunks.append(event.data)
            elif event.data.startswith("[DONE]"):
                self.is_over = True
            else:
                chunk = parse_object(event.data)
                if chunk is not None:
                    self._take(event, chunk, chunks)
                elif not is_cut_off:
                    self._fail(StreamFailed("Qwen sent something that is not a chat completion chunk."))
            if self.is_over:
                break
        return chunks

    def _take(self, event: Event, chunk: dict[str, Any], chunks: list[str]) -> None:
        error = self._event_error(event, chunk)
        if error is not None:
            self._fail(StreamFailed(error.message, upstream_request_id=error.upstream_request_id))
            return
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        is_changed = give_usage_choices(chunk)
        choices = chunk.get("choices")
        if not isinstance(choices, list) or (choices == [] and not self._include_usage):
            return  # no chunk to any client, or one that breaks those that have not asked for it
        is_changed |= self._repairs.apply(chunk)
        for choice in choices:
            if isinstance(choice, dict):
                self._note_finish(choice)
        if is_changed:
            chunks.append(_spelled(chunk))
            return
        # A line end within JSON can only stand between two tokens.
        data = event.data.replace("\n", " ")
        self._sound.learn(data, chunk)
        chunks.append(data)

    def _is_sound(self, event: Event) -> bool:
        """Whether an event differs from a chunk that needed no repair in its text alone."""
        return not (event.name or event.comment) and self._sound.text_of(event.data) is not None

    def _note_finish(self, choice: dict[str, Any]) -> None:
        index, reason = choice.get("index"), choice.get("finish_reason")
        place = index if isinstance(index, int) else 0
        if isinstance(reason, str) and reason:
            self._finish_reasons[place] = reason
        else:
            self._finish_reasons.setdefault(place, None)

    def _fail(self, error: ProxyError) -> None:
        self.error = error
        self.is_over = True


def _encoded(chunks: list[str]) -> bytes:
    return "".join([f"data: {chunk}\n\n" for chunk in chunks]).encode()


def _spelled(chunk: dict[str, Any]) -> str:
    return json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()
