"""A chat completion's stream as the stream of a message (apis-on-the-wire 3.2 and 4).

    message_start, (content_block_start, content_block_delta ..., content_block_stop) ..., message_delta,
    message_stop

with a `ping` while the host is silent. A message that is not whole ends with an `error` event instead.
"""

import json
from typing import Any, NamedTuple

from qwen_worker.api.chat.chunk_translator import ChunkTranslator
from qwen_worker.api.messages.answer import message_from, reasoning_of
from qwen_worker.api.messages.blocks import Blocks
from qwen_worker.api.messages.errors import error_event
from qwen_worker.api.messages.stop import StopSequences, stop_reason
from qwen_worker.api.messages.usage import usage_of
from qwen_worker.dialect import EventError
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 a token, roughly, in English, code and Chinese alike: for hosts that tell no usage."""


class AnswerFacts(NamedTuple):
    """What the answer to a request must say or look for."""

    message_id: str
    """Starts with `msg_`."""
    request_id: str
    """This gateway's id of the request."""
    model: str
    """The model as the client named it."""
    stop_sequences: tuple[str, ...]
    input_tokens: int
    """Our estimate of the prompt's tokens, until the host tells."""


class MessagesStream(ChunkTranslator):
    """The translator: a chat host's bytes in, an Anthropic client's bytes out."""

    def __init__(self, facts: AnswerFacts, *, event_error: EventError) -> None:
        super().__init__(event_error)
        self._facts = facts
        self._blocks = Blocks(facts.message_id)
        self._stops = StopSequences(facts.stop_sequences)
        self._has_begun = False
        self._is_started = False
        self.finish_reason: str | None = None

    def keep_alive(self) -> bytes:
        """What to send while the host is silent; also before the message has started, as DashScope does."""
        return PING

    def feed(self, data: bytes) -> bytes:
        """What to send when `data` has arrived; may be empty."""
        self._read(data)
        return (self._start() + self._blocks.events()).encode()

    def end(self, failure: ProxyError | None) -> bytes:
        """What ends the stream. `failure` is what ended it, None if the host did.

        Only a finish reason makes a message whole. Without one the blocks stay open and an error follows.
        """
        if not self.is_over:
            self._read(b"\n\n", is_cut_off=True)
        out = self._start()
        if self.error is None and self.finish_reason is not None:
            self._add_text(self._stops.release())
            out += self._blocks.closing_events()
            if self._blocks.is_call_nameless:
                self.error = StreamFailed("Qwen called a tool without saying which one.")
        elif self.error is None:
            self.error = failure or StreamTruncated("Qwen's stream ended before the message was finished.")
        if self.error is not None:
            out += self._blocks.events()
            return out.encode() + error_event(self.error, self._facts.request_id)
        return (out + self._ending()).encode()

    def whole(self, completion: dict[str, Any]) -> dict[str, Any]:
        """A whole chat completion as a whole message."""
        return message_from(
            completion,
            message_id=self._facts.message_id,
            model=self._facts.model,
            stop_sequences=self._facts.stop_sequences,
            input_tokens=self._facts.input_tokens,
        )

    # --- what the host says

    def _take(self, chunk: dict[str, Any]) -> None:
        self._has_begun = True
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._take_delta(delta)
        if choice.get("finish_reason"):
            self.finish_reason = str(choice["finish_reason"])
            self._stops.note(choice)

    def _take_delta(self, delta: dict[str, Any]) -> None:
        """Empty texts and an empty `tool_calls` are nothing (litellm issue 29286)."""
        if self._stops.matched is not None:
            return
        reasoning = reasoning_of(delta)
        if reasoning:
            self._blocks.add_text("thinking", reasoning)
        content = delta.get("content")
        if isinstance(content, str) and content:
            self._add_text(self._stops.feed(content))
        calls = delta.get("tool_calls")
        if isinstance(calls, list) and calls and self._stops.matched is None:
            self._add_text(self._stops.release())
            for call in calls:
                if isinstance(call, dict):
                    self._blocks.add_call(call)

    def _add_text(self, text: str) -> None:
        if text:
            self._blocks.add_text("text", text)

    # --- what the client gets

    def _start(self) -> str:
        """The message_start event, once the host has sent a chunk.

        Context displays read the tokens of the prompt here (CLIProxyAPI issue 1700).
        """
        if self._is_started or not self._has_begun:
            return ""
        self._is_started = True
        message: dict[str, Any] = {
            "id": self._facts.message_id,
            "type": "message",
            "role": "assistant",
            "model": self._facts.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(self.usage, input_tokens=self._facts.input_tokens, output_tokens=0),
        }
        return _event({"type": "message_start", "message": message})

    def _ending(self) -> str:
        stop = self._stops.matched
        reason = stop_reason(
            self.finish_reason, called=self._blocks.called, is_call_cut=self._blocks.is_call_cut, stop=stop
        )
        usage = usage_of(
            self.usage,
            input_tokens=self._facts.input_tokens,
            output_tokens=self._blocks.size_bytes // _BYTES_PER_TOKEN,
        )
        delta = {"stop_reason": reason, "stop_sequence": stop if reason == "stop_sequence" else None}
        return _event({"type": "message_delta", "delta": delta, "usage": usage}) + _event(
            {"type": "message_stop"}
        )


def _event(data: dict[str, Any]) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
