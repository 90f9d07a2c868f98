"""Chat streams through the translator, for tests."""

import json
from typing import Any

from hypothesis import strategies as st

from qwen_worker.api.responses.request import Asked, to_chat
from qwen_worker.api.responses.stream import ResponsesTranslator
from qwen_worker.errors import ProxyError
from qwen_worker.upstream.error_reader import ErrorReader
from tests.support.chunks import DONE, event
from tests.support.responses_grammar import Stream, read_stream

SEED = "0123456789abcdef0123456789abcdef"
MODEL = "qwen3-coder-plus"
NOW_MS = 1_700_000_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
"""Any JSON, not too much of it."""


def asked(**fields: Any) -> Asked:
    """What the answer knows of a request with these fields."""
    return to_chat({"input": "Hi", "store": False, **fields}).asked


def translator(about: Asked | None = None, *, refers_back: bool = False) -> ResponsesTranslator:
    """A translator whose random digits and clock stand still."""
    return ResponsesTranslator(
        about or asked(),
        model=MODEL,
        random_hex=lambda: SEED,
        now_ms=lambda: NOW_MS,
        event_error=ErrorReader((), lambda: NOW_MS).in_event,
        refers_back=refers_back,
    )


def delta(finish: str | None = None, **fields: Any) -> bytes:
    """A chunk whose delta has these fields."""
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def text(said: str) -> bytes:
    return delta(content=said)


def thought(said: str) -> bytes:
    return delta(reasoning_content=said, content=None)


def call(
    index: int | None, arguments: str | None, *, call_id: str | None = None, name: str | None = None
) -> bytes:
    """A chunk with a part of a call; what is None is not there."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    said: dict[str, Any] = {"type": "function", "function": function}
    if index is not None:
        said["index"] = index
    if call_id is not None:
        said["id"] = call_id
    return delta(tool_calls=[said])


def finish(reason: str = "stop") -> bytes:
    return delta(reason)


USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
USAGE_CHUNK = event({"choices": [], "usage": USAGE})
END = finish() + USAGE_CHUNK + DONE


def translate(
    *pieces: bytes,
    about: Asked | None = None,
    failure: ProxyError | None = None,
    refers_back: bool = False,
) -> Stream:
    """What a client reads when the host sends these pieces."""
    stream = translator(about, refers_back=refers_back)
    out = b"".join(stream.feed(piece) for piece in pieces)
    return read_stream(out + stream.end(failure))


def arguments_of(item: dict[str, Any]) -> Any:
    return json.loads(item["arguments"])
