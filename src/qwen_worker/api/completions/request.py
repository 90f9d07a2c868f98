"""The body of POST /v1/completions."""

from typing import Any, NamedTuple

from qwen_worker.api.chat.request import named_model, scan_request
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import decoded
from qwen_worker.upstream.chat_body import ChatBody
from qwen_worker.validation import (
    Check,
    boolean,
    integer,
    json_object,
    missing,
    number,
    string,
    texts,
    wrong_type,
)

MOST_PROMPTS = 20
"""Each is a request of its own to a host."""


class CompletionsRequest(NamedTuple):
    """A checked request."""

    body: ChatBody
    fields: dict[str, Any]
    """The top-level fields, decoded; those that are null are left out."""
    model: str | None
    """The model that the client names."""
    prompts: tuple[str, ...]
    suffix: str
    """What follows the gap that is to be filled; empty if there is none."""
    stops: tuple[str, ...]
    """The client's stop words."""
    stream: bool

    @property
    def include_usage(self) -> bool:
        """Whether a stream shall end with a chunk of usage."""
        return (self.fields.get("stream_options") or {}).get("include_usage") is True

    @property
    def echo(self) -> bool:
        """Whether the answer begins with the prompt."""
        return self.fields.get("echo") is True

    @property
    def choices(self) -> int:
        """How many answers each prompt gets."""
        return int(self.fields.get("n", 1))


def parse_completions_request(raw: bytes) -> CompletionsRequest:
    """Checks a body. Raises InvalidRequest, and nothing else, whatever the bytes are."""
    body = scan_request(raw)
    fields = {
        name: decoded(body.text[member.value_start : member.end])
        for name, member in body.members.items()
        if member.value is not None
    }
    for name, check in _CHECKS.items():
        if name in fields:
            check(name, fields[name])
    return CompletionsRequest(
        body,
        fields,
        named_model(body),
        _prompts(fields.get("prompt")),
        fields.get("suffix", ""),
        _stops(fields.get("stop", ())),
        fields.get("stream") is True,
    )


def _no_logprobs(name: str, value: Any) -> None:
    if value is not False:
        raise InvalidRequest(f"'{name}' is not supported: Qwen tells none here. Leave it out.", param=name)


def _no_choice(name: str, value: Any) -> None:
    integer(1)(name, value)
    if value > 1:
        raise InvalidRequest(f"'{name}' is not supported with more than 1. Ask for 'n' instead.", param=name)


_CHECKS: dict[str, Check] = {
    "prompt": texts(MOST_PROMPTS),
    "suffix": string,
    "logprobs": _no_logprobs,
    "best_of": _no_choice,
    "echo": boolean,
    "n": integer(1, 128),
    "max_tokens": integer(-1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "stream": boolean,
    "stream_options": json_object,
}


def _prompts(value: Any) -> tuple[str, ...]:
    if value is None:
        raise missing("prompt")
    return (value,) if isinstance(value, str) else tuple(value)


def _stops(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        raise wrong_type("stop", "a string or an array of strings", value)
    for index, word in enumerate(words):
        string(f"stop[{index}]", word)
    return tuple(word for word in words if word)
