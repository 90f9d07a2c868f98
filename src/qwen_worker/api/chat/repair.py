"""A stream event by event, for what native relaying cannot repair. Costs ten times as much.

Framing is made plain (`data: ...` and a blank line, nothing else), usage chunks that nobody asked for are
left out, an error becomes one that clients understand, nothing follows `[DONE]`, and deltas that repeat the
whole text so far are made increments. The chunks themselves go through as the text that Qwen sent.
"""

import json
from collections.abc import Callable
from typing import Any

from qwen_worker.api.chat.healthy_stream import DONE
from qwen_worker.api.chat.stream_end import error_event
from qwen_worker.api.chat.stream_start import event_error
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated
from qwen_worker.sse import Event, EventParser

PROOF_STEPS = 4
PROOF_CHARACTERS = 24
PROOF_VARIETY = 8
"""When deltas count as cumulative: so many in a row that each begin with all of the one before and add to it,
the last one so long, of so many different characters. Meant as increments they would say the same words over
and over, longer each time. `ha`, `haha`, `hahaha` proves nothing."""

MOST_STEPS = 64
"""After so many chunks without proof there will be none."""

_TEXT_FIELDS = ("content", "reasoning_content")


class StreamRewriter:
    """Qwen's bytes in, the client's bytes out."""

    def __init__(self, *, include_usage: bool, now_ms: Callable[[], int]) -> None:
        self._include_usage = include_usage
        self._now_ms = now_ms
        self._parser = EventParser()
        self._deltas = _Deltas()
        self.is_over = False
        """Whether nothing more of Qwen's may follow: it has sent `[DONE]` or an error."""
        self.error: ProxyError | None = None
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self.size_bytes = 0
        """How much `feed` and `end` have returned."""

    def feed(self, data: bytes) -> bytes:
        """What to send when `data` has arrived; may be empty."""
        return self._encoded(self._chunks(data))

    def end(self, failure: ProxyError | None) -> bytes:
        """What ends the stream. `failure` is what ended it, None if Qwen did."""
        chunks = [] if self.is_over else self._chunks(b"\n\n", is_cut_off=True)
        out = self._encoded(chunks + self._deltas.release())
        if self.error is None and self.finish_reason is None:
            self.error = failure or StreamTruncated("Qwen's stream ended before the completion was finished.")
        ending = DONE if self.error is None else error_event(self.error) + DONE
        self.size_bytes += len(ending)
        return out + ending

    def _chunks(self, data: bytes, *, is_cut_off: bool = False) -> list[str]:
        """The chunks, as JSON text, that may be sent now. `is_cut_off`: an event that makes no sense was not
        sent to its end.
        """
        chunks: list[str] = []
        for event in self._parser.feed(data):
            if event.data.startswith("[DONE]"):
                self.is_over = True
            else:
                chunk = _json_object(event)
                if chunk is not None:
                    chunks += self._take(event, chunk)
                elif not is_cut_off:
                    self._fail(StreamFailed("Qwen sent something that is not a chat completion chunk."))
            if self.is_over:
                break
        return chunks

    def _take(self, event: Event, chunk: dict[str, Any]) -> list[str]:
        error = event_error(event, chunk, self._now_ms())
        if error is not None:
            self._fail(StreamFailed(error.message, upstream_request_id=error.upstream_request_id))
            return []
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("finish_reason"):
                self.finish_reason = str(choice["finish_reason"])
        if choices == [] and not self._include_usage:
            return []
        # A line end within JSON can only stand between two tokens.
        return self._deltas.take(event.data.replace("\n", " "), chunk)

    def _fail(self, error: ProxyError) -> None:
        self.error = error
        self.is_over = True

    def _encoded(self, chunks: list[str]) -> bytes:
        out = "".join([f"data: {chunk}\n\n" for chunk in chunks]).encode()
        self.size_bytes += len(out)
        return out


class _Deltas:
    """Makes increments of cumulative deltas, once they are proven to be cumulative.

    Until then chunks are held back: usually one, since the second delta of an ordinary stream does not begin
    with the first. With several choices nothing is changed.
    """

    def __init__(self) -> None:
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._texts = {name: _DeltaText() for name in _TEXT_FIELDS}

    def take(self, text: str, chunk: dict[str, Any]) -> list[str]:
        """The chunks that may be sent now that `chunk`, whose JSON is `text`, has come."""
        delta = _only_delta(chunk)
        for name, seen in self._texts.items():
            value = delta.get(name) if delta is not None else None
            if delta is None:
                seen.settle()
            elif isinstance(value, str) and value:
                seen.note(value)
        self._held.append((text, chunk))
        return [] if any(seen.is_open for seen in self._texts.values()) else self._release_held()

    def release(self) -> list[str]:
        """The chunks still held back, at the end: nothing is proven about them."""
        for seen in self._texts.values():
            seen.settle()
        return self._release_held()

    def _release_held(self) -> list[str]:
        held, self._held = self._held, []
        return [self._rendered(text, chunk) for text, chunk in held]

    def _rendered(self, text: str, chunk: dict[str, Any]) -> str:
        delta = _only_delta(chunk) or {}
        changed = False
        for name, seen in self._texts.items():
            value = delta.get(name)
            if isinstance(value, str) and value:
                delta[name] = seen.increment(value)
                changed = changed or delta[name] != value
        return json.dumps(chunk, separators=(",", ":")) if changed else text


class _DeltaText:
    """The texts of one field of the deltas: ordinary, cumulative, or not known yet."""

    __slots__ = ("_is_cumulative", "_is_settled", "_last", "_sent", "_steps")

    def __init__(self) -> None:
        self._is_settled = False
        self._is_cumulative = False
        self._steps = 0
        self._last = ""
        self._sent = ""

    @property
    def is_open(self) -> bool:
        """Whether there are texts of which it is not known yet what they are."""
        return bool(self._last) and not self._is_settled

    def note(self, text: str) -> None:
        """Learns from the next text."""
        if self._is_settled:
            return
        if self._last and not (text.startswith(self._last) and len(text) > len(self._last)):
            self.settle()
            return
        self._steps += bool(self._last)
        self._last = text
        if self._steps >= PROOF_STEPS and len(text) >= PROOF_CHARACTERS and len(set(text)) >= PROOF_VARIETY:
            self._is_cumulative = self._is_settled = True
        elif self._steps >= MOST_STEPS:
            self.settle()

    def settle(self) -> None:
        """Nothing was proven: from here on the texts are what they are."""
        self._is_settled = True

    def increment(self, text: str) -> str:
        """What `text` adds to the texts before it; all of it, if it does not begin with them."""
        if not self._is_cumulative:
            return text
        if text.startswith(self._sent):
            added = text[len(self._sent) :]
            self._sent = text
            return added
        self._sent += text
        return text


def _only_delta(chunk: dict[str, Any]) -> dict[str, Any] | None:
    """The delta of the one choice of a chunk that goes on; None for every other chunk."""
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    if choices[0].get("finish_reason") or choices[0].get("index", 0) != 0:
        return None
    delta = choices[0].get("delta")
    return delta if isinstance(delta, dict) else None


def _json_object(event: Event) -> dict[str, Any] | None:
    try:
        data = json.loads(event.data)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
