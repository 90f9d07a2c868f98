"""Why a message ended: the host's finish reason, and which stop sequence it met."""

from typing import Any

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
}


def stop_reason(finish_reason: str | None, *, called: bool, is_call_cut: bool, stop: str | None) -> str:
    """Anthropic's `stop_reason`.

    `called`: a tool was called, which says "tool_use" whatever the host says (litellm issue 34692), unless
    the arguments were cut off at the longest output (`is_call_cut`). `stop` is the stop sequence that was
    met.
    """
    if called and not (finish_reason == "length" and is_call_cut):
        return "tool_use"
    if stop is not None:
        return "stop_sequence"
    reason = _STOP_REASONS.get(finish_reason or "", "end_turn")
    return "end_turn" if reason == "tool_use" else reason


class StopSequences:
    """Watches the text of an answer for the client's stop sequences.

    Hosts differ: most leave the sequence out of the text and say nothing more; vLLM names it as `stop_reason`
    and SGLang as `matched_stop` of the choice; some end the text with it, or overlook it. Anthropic's clients
    are told which one it was, and never see it in the text.
    """

    __slots__ = ("_held", "_sequences", "matched")

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = sequences
        self._held = ""
        self.matched: str | None = None
        """The sequence that was met: nothing after it belongs to the answer."""

    def feed(self, text: str) -> str:
        """What of the text so far may be shown; the beginning of a sequence is held back."""
        if not self._sequences:
            return text
        if self.matched is not None:
            return ""
        text = self._held + text
        found = [(at, sequence) for sequence in self._sequences if (at := text.find(sequence)) >= 0]
        if found:
            at, self.matched = min(found)
            self._held = ""
            return text[:at]
        held = max(_overlap(text, sequence) for sequence in self._sequences)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def release(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def note(self, choice: dict[str, Any]) -> None:
        """Learns from a choice that names the sequence."""
        for name in ("stop_reason", "matched_stop"):
            if self.matched is None and choice.get(name) in self._sequences:
                self.matched = choice[name]


def _overlap(text: str, sequence: str) -> int:
    """How long an end of `text` is that `sequence` begins with."""
    for length in range(min(len(text), len(sequence) - 1), 0, -1):
        if text.endswith(sequence[:length]):
            return length
    return 0
