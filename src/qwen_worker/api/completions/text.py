"""The text of one choice, cut at stop words and freed of a code fence."""

from qwen_worker.api.messages.stop import StopSequences

_FENCE = "```"


class ChoiceText:
    """Takes a text piece by piece. `may_be_fenced`: chat models put code into a fence although they should
    not; the fence is left out.
    """

    __slots__ = ("_held", "_is_begun", "_stop_words", "_stops")

    def __init__(self, stop_words: tuple[str, ...], *, may_be_fenced: bool) -> None:
        self._stop_words = stop_words
        self._stops = StopSequences(stop_words)
        self._is_begun = not may_be_fenced
        self._held = ""

    @property
    def is_over(self) -> bool:
        """Whether a stop word came: nothing more belongs to the answer."""
        return self._stops.matched is not None

    def feed(self, text: str) -> str:
        """What of the text may be shown so far."""
        if not self._is_begun:
            text = self._held = self._held + text
            start = text.lstrip()
            if start.startswith(_FENCE):
                _, line_end, text = start.partition("\n")
                if not line_end:
                    return ""
                self._stops = StopSequences((*self._stop_words, f"\n{_FENCE}"))
            elif _FENCE.startswith(start):
                return ""
            self._is_begun = True
        return self._stops.feed(text)

    def release(self) -> str:
        """What was held back, at the end of the text."""
        is_fence = self._held.lstrip().startswith(_FENCE)
        held = "" if self._is_begun or is_fence else self._held
        self._is_begun = True
        return self._stops.feed(held) + self._stops.release()
