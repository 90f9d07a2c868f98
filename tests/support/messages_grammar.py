"""Reads a stream of Anthropic's Messages API, and accepts nothing that its grammar does not allow.

The grammar is that of apis-on-the-wire 3.2: `event:` lines that say what the data says, a message started
once, blocks with rising indexes of which one is open at a time, deltas that fit their block, a message_delta
after the last block, message_stop at the end. An error may come at any place, and is the last event.
"""

import json
from typing import Any, NamedTuple

_DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
_STOP_REASONS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"}
_USAGE = {"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"}


class StreamedMessage(NamedTuple):
    """What a stream said. `message` is None if it never started; `raw_inputs` are the JSON texts of the
    calls.
    """

    message: dict[str, Any] | None
    error: dict[str, Any] | None
    pings: int
    raw_inputs: list[str]

    def text(self, kind: str = "text") -> str:
        """The text of all blocks of a kind ("text", "thinking")."""
        content = [] if self.message is None else self.message["content"]
        return "".join(block[kind] for block in content if block["type"] == kind)

    def calls(self) -> list[tuple[str, str, Any]]:
        """Id, name and input of each call."""
        content = [] if self.message is None else self.message["content"]
        return [(b["id"], b["name"], b["input"]) for b in content if b["type"] == "tool_use"]


def read_messages_stream(stream: bytes, *, is_ours: bool = True) -> StreamedMessage:
    """Reads a whole stream. Raises AssertionError at the first thing that is not allowed.

    `is_ours`: the usage is complete wherever there is one; Qwen's hosts tell two counts in message_start, and
    more than Anthropic does at the end.
    """
    reader = _Reader(is_ours=is_ours)
    for name, data in _events(stream):
        reader.take(name, data)
    return reader.result()


def _events(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    assert stream.endswith(b"\n\n") or not stream, "the last event is not ended"
    events = []
    for block in stream.decode().split("\n\n")[:-1]:
        lines = block.split("\n")
        assert len(lines) == 2, f"an event has {len(lines)} lines"
        assert lines[0].startswith("event: "), "an event has no name"
        assert lines[1].startswith("data: "), "an event has no data"
        data = json.loads(lines[1][6:])
        assert data["type"] == lines[0][7:], "name and type differ"
        events.append((data["type"], data))
    return events


class _Reader:
    def __init__(self, *, is_ours: bool) -> None:
        self.is_ours = is_ours
        self.message: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.pings = 0
        self.raw_inputs: list[str] = []
        self.open: dict[str, Any] | None = None
        self.is_told = False
        self.is_stopped = False

    def take(self, name: str, data: dict[str, Any]) -> None:
        assert self.error is None, f"{name} after an error"
        assert not self.is_stopped, f"{name} after message_stop"
        if name == "ping":
            self.pings += 1
        elif name == "error":
            assert set(data["error"]) == {"type", "message"}
            assert data["error"]["type"].endswith("_error")
            self.error = data
        elif name == "message_start":
            self.start(data["message"])
        else:
            assert self.message is not None, f"{name} before message_start"
            {
                "content_block_start": self.start_block,
                "content_block_delta": self.add_delta,
                "content_block_stop": self.stop_block,
                "message_delta": self.tell,
                "message_stop": self.stop,
            }[name](data)

    def start(self, message: dict[str, Any]) -> None:
        assert self.message is None, "a second message_start"
        assert (message["type"], message["role"], message["content"]) == ("message", "assistant", [])
        assert message["stop_reason"] is None
        assert message["id"].startswith("msg_")
        self.check_usage(message["usage"])
        self.message = message

    def start_block(self, data: dict[str, Any]) -> None:
        assert self.message is not None
        assert not self.is_told, "a block after message_delta"
        assert self.open is None, "a block starts while another is open"
        assert data["index"] == len(self.message["content"]), "the index does not rise by one"
        block = data["content_block"]
        kind = block["type"]
        if kind == "tool_use":
            assert block["id"]
            assert block["name"]
            assert block["input"] == {}
            assert all(b.get("id") != block["id"] for b in self.message["content"]), "an id occurs twice"
            self.raw_inputs.append("")
        else:
            assert block[kind] == ""
        self.open = block
        self.message["content"].append(block)

    def add_delta(self, data: dict[str, Any]) -> None:
        block = self.open
        assert block is not None, "a delta without an open block"
        self.check_index(data)
        delta, kind = data["delta"], block["type"]
        assert delta["type"] == _DELTAS[kind], f"{delta['type']} within {kind}"
        if kind == "tool_use":
            assert delta["partial_json"], "an empty delta"
            self.raw_inputs[-1] += delta["partial_json"]
        else:
            assert delta[kind], "an empty delta"
            block[kind] += delta[kind]

    def stop_block(self, data: dict[str, Any]) -> None:
        block = self.open
        assert block is not None, "a block is stopped that is not open"
        self.check_index(data)
        kind = block["type"]
        if kind == "tool_use":
            try:
                block["input"] = json.loads(self.raw_inputs[-1])
            except ValueError:
                block["input"] = None
        else:
            assert block[kind].strip(), f"a {kind} block that says nothing"
        self.open = None

    def tell(self, data: dict[str, Any]) -> None:
        assert self.message is not None
        assert self.open is None, "message_delta while a block is open"
        assert not self.is_told, "a second message_delta"
        self.is_told = True
        delta = data["delta"]
        assert delta["stop_reason"] in _STOP_REASONS
        assert (delta["stop_reason"] == "stop_sequence") == (delta["stop_sequence"] is not None)
        called = any(block["type"] == "tool_use" for block in self.message["content"])
        if delta["stop_reason"] != "max_tokens":
            assert called == (delta["stop_reason"] == "tool_use")
        self.check_usage(data["usage"])
        self.message |= {**delta, "usage": data["usage"]}

    def stop(self, data: dict[str, Any]) -> None:
        assert self.is_told, "message_stop before message_delta"
        assert data == {"type": "message_stop"}
        self.is_stopped = True

    def check_index(self, data: dict[str, Any]) -> None:
        assert self.message is not None
        assert data["index"] == len(self.message["content"]) - 1, "the index is not that of the open block"

    def result(self) -> StreamedMessage:
        assert self.is_stopped or self.error is not None, "the stream ends without message_stop or error"
        return StreamedMessage(self.message, self.error, self.pings, self.raw_inputs)

    def check_usage(self, usage: dict[str, Any]) -> None:
        told = set(usage)
        assert told == _USAGE if self.is_ours else {"input_tokens", "output_tokens"} <= told
        assert all(type(usage[name]) is int and usage[name] >= 0 for name in told & _USAGE)
