"""What the translators from a chat host's stream to another API have in common: they read its chunks."""

from typing import Any

from qwen_worker.delta_pattern import DeltaPattern
from qwen_worker.dialect import EventError
from qwen_worker.errors import ProxyError, StreamFailed
from qwen_worker.json_text import parse_object
from qwen_worker.sse import EventParser


class ChunkTranslator:
    """Takes in the chunks of a stream up to `[DONE]` or an error. A subclass says what becomes of one."""

    def __init__(self, event_error: EventError) -> None:
        self._event_error = event_error
        self._parser = EventParser()
        self._usual = DeltaPattern()
        self.is_over = False
        """Whether nothing more of the host's may follow: it has sent `[DONE]` or an error."""
        self.error: ProxyError | None = None
        self.usage: dict[str, Any] | None = None

    def _take(self, chunk: dict[str, Any]) -> None:
        """Takes in a chunk that is no error."""
        raise NotImplementedError

    def _read(self, data: bytes, *, is_cut_off: bool = False) -> None:
        """Takes in the events that `data` completes. With `is_cut_off`, an event that is no JSON is ignored:
        it was not sent to its end.
        """
        usual, data = self._usual.text_of_events(self._parser, data)
        if usual and not self.is_over:
            self._take_text(usual)
        for event in self._parser.feed(data):
            if self.is_over:
                return
            text = None if event.name or event.comment else self._usual.text_of(event.data)
            if text is not None:
                self._take_text(text)
                continue
            if event.data.startswith("[DONE]"):
                self.is_over = True
                return
            chunk = parse_object(event.data)
            if chunk is None:
                if not is_cut_off:
                    self._fail(StreamFailed("Qwen sent something that is not a chat completion chunk."))
                continue
            error = self._event_error(event, chunk)
            if error is not None:
                self._fail(StreamFailed(error.message, upstream_request_id=error.upstream_request_id))
                continue
            if isinstance(chunk.get("usage"), dict):
                self.usage = chunk["usage"]
            self._take(chunk)
            self._usual.learn(event.data, chunk)

    def _take_text(self, text: str) -> None:
        """Takes in chunks with nothing but more text in them."""
        self._take({"choices": [{"index": 0, "delta": {self._usual.field: text}}]})

    def _fail(self, error: ProxyError) -> None:
        self.error = error
        self.is_over = True
