"""What must be added to a natively relayed stream that did not end as it should."""

import re
from typing import Any

from qwen_worker.api.chat.events import DONE, error_event
from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.dialect import Completion, EventError, StreamEnd
from qwen_worker.errors import ProxyError, StreamFailed, StreamTruncated
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.sse import Event, EventParser
from qwen_worker.stream_tail import StreamTail
from qwen_worker.streams.unfinished_json import ending_of_object

# A quotation mark inside a JSON string is escaped, so this matches real keys only, never a model's words.
_finish_reasons = re.compile(rb'"finish_reason"\s*:\s*"([^"\\]+)"').findall

_BLOCKS_PARSED = 4
"""A finish reason, the usage and `[DONE]` are the last three events of a stream."""


def end_of_stream(
    tail: StreamTail,
    failure: ProxyError | None,
    event_error: EventError,
    *,
    is_done: bool,
) -> StreamEnd:
    """How to end a stream whose last bytes are `tail`.

    `failure` is what ended it, None if Qwen itself did. A finish reason makes a completion whole; after a
    failure only if nothing but the usage could have followed.
    """
    *blocks, unfinished = _last_blocks(tail.kept)
    reasons = _finish_reasons(b"\n".join(blocks)) or _finish_reasons(tail.kept)
    finish_reason = reasons[-1].decode("ascii", "replace") if reasons else None
    is_cut_off = _is_cut_off(unfinished)
    if not is_cut_off:
        blocks.append(unfinished)
    events = _parsed(blocks)
    last_data = events[-1][1] if events else None
    usage = next((data["usage"] for _, data in reversed(events) if isinstance(data.get("usage"), dict)), None)
    # An error counts, whatever follows it (the usage, for example).
    found = ((data, event_error(event, data)) for event, data in reversed(events))
    failed, reported = next((each for each in found if each[1] is not None), (None, None))

    error: ProxyError | None = None
    if reported is not None:
        error = StreamFailed(reported.message, upstream_request_id=reported.upstream_request_id)
    elif failure is not None and not (_is_final(last_data) and not is_cut_off):
        error = failure
    elif finish_reason in (None, "error_finish") or is_cut_off:
        error = StreamTruncated("Qwen's stream ended before the completion was finished.")

    if is_done:
        closing = _end_of_block(unfinished)
    elif error is None or _is_error_to_clients(failed):
        closing = _end_of_block(unfinished) + DONE
    else:
        closing = error_ending(unfinished, error)
    return StreamEnd(closing, Completion(error, finish_reason, usage))


def error_ending(unfinished: bytes, error: ProxyError) -> bytes:
    """An error event and `[DONE]`, to follow what may be the beginning of an event.

    The beginning of a chunk becomes the error event itself: left as it is, clients would fail to parse it.
    """
    before, line = _split_last_line(unfinished)
    if line.startswith(b"data:") and b"data:" not in before:
        ending = ending_of_object(line[5:], openai_error_body(error)[1:-1])
        if ending is not None:
            return ending + b"\n\n" + DONE
    return _end_of_block(unfinished) + error_event(error) + DONE


def _last_blocks(data: bytes) -> list[bytes]:
    """The last events as they were written, and what follows the last blank line (mostly nothing).

    Line ends are made LF. Searches from the end and stops early: a search through all of `data` would cost
    more than everything else at the end of a stream.
    """
    size = 2048
    while True:
        lines = data[-size:].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        blocks = lines.rsplit(b"\n\n", _BLOCKS_PARSED + 1)
        if size >= len(data):
            return blocks[-_BLOCKS_PARSED - 1 :]
        if len(blocks) == _BLOCKS_PARSED + 2:
            return blocks[1:]
        size *= 4


def _parsed(blocks: list[bytes]) -> list[tuple[Event, dict[str, Any]]]:
    """The events with the JSON objects that they hold; `[DONE]` and what is no JSON object left out."""
    events = EventParser().feed(b"\n\n".join(blocks) + b"\n\n")
    return [(event, data) for event in events if isinstance(data := _json(event.data), dict)]


def _json(text: str | bytes) -> Any:
    try:
        return parse(text)
    except JsonTextError:
        return None


def _is_final(data: dict[str, Any] | None) -> bool:
    """Whether a chunk is one after which a stream may end: the last choice's finish reason, or the usage."""
    choices = data.get("choices") if data is not None else None
    if not isinstance(choices, list):
        return False
    return all(isinstance(choice, dict) and bool(choice.get("finish_reason")) for choice in choices)


def _is_error_to_clients(data: dict[str, Any] | None) -> bool:
    """Whether the SDKs raise an error at this event (openai-clients: `{"error": {...}}`)."""
    return data is not None and isinstance(data.get("error"), dict)


def _is_cut_off(block: bytes) -> bool:
    """Whether the stream ended in the middle of this event's data."""
    _, line = _split_last_line(block)
    if not line.startswith(b"data:"):
        return False
    data = line[5:].strip()
    return data != b"[DONE]" and _json(data) is None


def _split_last_line(block: bytes) -> tuple[bytes, bytes]:
    lines = block.splitlines(keepends=True)
    return b"".join(lines[:-1]), lines[-1] if lines and not block.endswith((b"\r", b"\n")) else b""


def _end_of_block(block: bytes) -> bytes:
    """What is missing of the line end and the blank line that end an event."""
    if not block:
        return b""
    return b"\n" if block.endswith((b"\r", b"\n")) else b"\n\n"
