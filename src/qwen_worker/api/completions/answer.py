"""Chat completions as legacy completions (`object: "text_completion"`)."""

import json
from typing import Any, NamedTuple

from qwen_worker.api.chat.chunk_translator import ChunkTranslator
from qwen_worker.api.chat.events import DONE, error_event
from qwen_worker.api.completions.text import ChoiceText
from qwen_worker.api.gather import summed_usage
from qwen_worker.dialect import EventError
from qwen_worker.errors import ProxyError, StreamTruncated


class AnswerFacts(NamedTuple):
    """What the answer to one prompt is made with."""

    echo: str
    """What each text begins with: the prompt if the client wants it back."""
    stops: tuple[str, ...]
    """The client's stop words."""
    may_be_fenced: bool
    """Whether a model was told to fill a gap, and may have put its answer into a code fence."""
    include_usage: bool
    """Whether a stream ends with a chunk of usage."""
    choices: int = 1
    """How many answers there will be."""
    first_index: int = 0
    """What the first of them is numbered with."""

    def text(self) -> ChoiceText:
        """A text in the making."""
        return ChoiceText(self.stops, may_be_fenced=self.may_be_fenced)


class Series:
    """The answers, to one prompt each, that one stream tells one after the other."""

    __slots__ = ("_answers", "_usages", "envelope")

    def __init__(self, answers: int = 1) -> None:
        self.envelope: dict[str, Any] = {}
        """The first chunk of a host, whose id and model stand for all."""
        self._answers = answers
        self._usages: list[dict[str, Any] | None] = []

    def end_of_answer(self, usage: dict[str, Any] | None) -> dict[str, Any] | None:
        """Notes that an answer has ended. Returns the usage of all that have; None unless all told theirs."""
        self._usages.append(usage)
        return None if None in self._usages else summed_usage(self._usages)

    @property
    def is_over(self) -> bool:
        """Whether the last answer has ended."""
        return len(self._usages) == self._answers


def completion_from(answer: dict[str, Any], facts: AnswerFacts) -> dict[str, Any]:
    """A whole answer in the legacy shape, which a host's may have already."""
    choices = [choice for choice in answer["choices"] if isinstance(choice, dict)]
    completion = {
        **_envelope(answer),
        "choices": [
            _choice(facts.first_index + place, *_text_of(choice, facts))
            for place, choice in enumerate(choices)
        ],
    }
    if isinstance(answer.get("usage"), dict):
        completion["usage"] = answer["usage"]
    return completion


def _chunk(envelope: dict[str, Any], choices: list[Any], **more: Any) -> str:
    """An event of a stream."""
    data = {**_envelope(envelope), "choices": choices, **more}
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


class CompletionStream(ChunkTranslator):
    """A host's bytes in, of chat completions or legacy ones, the client's out. Implements
    `dialect.Translator`.

    What comes at once becomes one chunk for each choice. The last one of a `series` ends the stream, and has
    the usage of all.
    """

    def __init__(self, facts: AnswerFacts, *, event_error: EventError, series: Series | None = None) -> None:
        super().__init__(event_error)
        self._facts = facts
        self._series = series or Series()
        self._texts: dict[int, ChoiceText] = {}
        self._reasons: dict[int, str | None] = {}
        self._news: dict[int, str] = {}
        """The choices that there is something to tell of, and what they say."""

    @property
    def finish_reason(self) -> str | None:
        """How the first choice ended."""
        return next((reason for reason in self._reasons.values() if reason), None)

    def feed(self, data: bytes) -> bytes:
        """What to send when `data` has arrived; may be empty."""
        self._read(data)
        return self._chunks()

    def end(self, failure: ProxyError | None) -> bytes:
        """What ends the stream. `failure` is what ended it, None if the host did."""
        if not self.is_over:
            self._read(b"\n\n", is_cut_off=True)
        out = self._chunks()
        is_finished = bool(self._reasons) and all(self._reasons.values())
        if self.error is None and not is_finished:
            self.error = failure or StreamTruncated("Qwen's stream ended before the completion was finished.")
        self.usage = self._series.end_of_answer(self.usage)
        if self.error is not None:
            return out + error_event(self.error) + DONE
        if not self._series.is_over:
            return out
        if self._facts.include_usage and self.usage is not None:
            out += _chunk(self._series.envelope, [], usage=self.usage).encode()
        return out + DONE

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A whole chat completion as a whole completion."""
        return completion_from(answer, self._facts)

    def _take(self, chunk: dict[str, Any]) -> None:
        self._series.envelope = self._series.envelope or chunk
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        given = choice.get("index")
        index = given if isinstance(given, int) else 0
        if index not in self._texts:
            self._texts[index] = self._facts.text()
            self._reasons[index] = None
            if self._facts.echo:
                self._news[index] = self._facts.echo
        if self._reasons[index]:
            return
        text, delta, reason = self._texts[index], choice.get("delta"), choice.get("finish_reason")
        content = delta.get("content") if isinstance(delta, dict) else choice.get("text")
        said = text.feed(content) if isinstance(content, str) else ""
        if reason or text.is_over:
            said += text.release()
            self._reasons[index] = _reason(reason, text)
            self._note_end()
        if said or self._reasons[index]:
            self._news[index] = self._news.get(index, "") + said

    def _note_end(self) -> None:
        """Wants no more of the host once every choice has met a stop word, unless for the usage."""
        texts = self._texts.values()
        if not self._facts.include_usage and len(texts) == self._facts.choices:
            self.is_over = all(text.is_over for text in texts)

    def _chunks(self) -> bytes:
        news, self._news = self._news, {}
        return "".join(
            _chunk(
                self._series.envelope, [_choice(self._facts.first_index + index, said, self._reasons[index])]
            )
            for index, said in news.items()
        ).encode()


def _text_of(choice: dict[str, Any], facts: AnswerFacts) -> tuple[str, str | None]:
    """The text of a choice of either shape, and how it ended."""
    message, said = choice.get("message"), choice.get("text")
    if isinstance(said, str):
        return said, choice.get("finish_reason")
    content = message.get("content") if isinstance(message, dict) else None
    text = facts.text()
    said = (text.feed(content) if isinstance(content, str) else "") + text.release()
    return facts.echo + said, _reason(choice.get("finish_reason"), text)


def _reason(reason: Any, text: ChoiceText) -> str:
    """A legacy completion calls no tools: it stops, is too long, or is filtered."""
    is_known = not text.is_over and reason in ("length", "content_filter")
    return str(reason) if is_known else "stop"


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _envelope(answer: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {name: answer[name] for name in ("id", "created", "model") if name in answer}
    return {"object": "text_completion", **told}
