"""A strict reader of the Responses API's streams: what a client may rely on, event by event.

`read_stream` raises AssertionError at the first event that should not be there.
"""

import json
from typing import Any, NamedTuple

from tests.support.responses_schema import check_event

_ENDS = ("response.completed", "response.incomplete", "response.failed")

# The events of an item between `added` and `done`: what comes at least once (+) or any number of times (*).
_BODIES: dict[str, tuple[str, ...]] = {
    "output_text": (
        "response.content_part.added",
        "+response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
    ),
    "refusal": (
        "response.content_part.added",
        "+response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
    ),
    "reasoning": (
        "response.reasoning_summary_part.added",
        "+response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.content_part.added",
        "+response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
    ),
    "function_call": ("+response.function_call_arguments.delta", "response.function_call_arguments.done"),
    "custom_tool_call": (
        "*response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
    ),
}


class Stream(NamedTuple):
    """A stream that has kept to the grammar."""

    events: list[dict[str, Any]]
    response: dict[str, Any]
    """The response in the last event."""

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def items(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.response["output"] if item["type"] == kind]

    @property
    def text(self) -> str:
        return "".join(part.get("text", "") for item in self.items("message") for part in item["content"])

    @property
    def reasoning(self) -> str:
        return "".join(part["text"] for item in self.items("reasoning") for part in item["summary"])


def read_stream(data: bytes) -> Stream:
    """The events of a whole stream."""
    events = split_events(data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] for event in events if event["type"] in _ENDS] == [events[-1]["type"]]
    assert sum(event["type"] == "response.created" for event in events) == 1
    for event in events:
        check_event(event)
    whole = [event["response"] for event in events if "response" in event]
    assert len({(response["id"], response["created_at"], response["model"]) for response in whole}) == 1
    last = events[-1]["response"]
    assert last["status"] == events[-1]["type"].removeprefix("response.")
    for response in whole[:-1]:
        assert response["status"] == "in_progress"
        assert response["output"] == []
        assert response["error"] is response["usage"] is response["completed_at"] is None
    _check_items([event for event in events if "response" not in event], last)
    _check_end(last)
    return Stream(events, last)


def split_events(data: bytes) -> list[dict[str, Any]]:
    """The events in some bytes of a stream, whose framing is checked."""
    assert data == b"" or data.endswith(b"\n\n")
    events = []
    for block in data[:-2].split(b"\n\n") if data else []:
        name, payload = block.split(b"\n")
        assert name.startswith(b"event: ")
        assert payload.startswith(b"data: ")
        event = json.loads(payload[6:])
        assert event["type"] == name[7:].decode()
        events.append(event)
    return events


def _check_end(response: dict[str, Any]) -> None:
    status = response["status"]
    assert (response["error"] is not None) == (status == "failed")
    assert (response["incomplete_details"] is not None) == (status == "incomplete")
    assert (response["completed_at"] is not None) == (status == "completed")
    if status == "completed":
        assert all(item.get("status", "completed") == "completed" for item in response["output"])


def _check_items(events: list[dict[str, Any]], response: dict[str, Any]) -> None:
    """One item after the other, each from `added` to `done`; only the last one may be left open, and not in a
    completed response.
    """
    done: list[dict[str, Any]] = []
    position = 0
    unfinished: list[dict[str, Any]] = []
    while position < len(events):
        end = next(
            (p for p in range(position, len(events)) if events[p]["type"] == "response.output_item.done"),
            None,
        )
        group = events[position:] if end is None else events[position : end + 1]
        assert [event["output_index"] for event in group] == [len(done)] * len(group)
        item = _check_item(group, is_done=end is not None)
        position += len(group)
        if end is None:
            assert response["status"] != "completed"
            unfinished = [item]
        else:
            done.append(item)
    assert response["output"] == done + unfinished
    ids = [item["id"] for item in response["output"]]
    assert len(set(ids)) == len(ids)
    calls = [item["call_id"] for item in response["output"] if "call_id" in item]
    assert len(set(calls)) == len(calls)


def _check_item(group: list[dict[str, Any]], *, is_done: bool) -> dict[str, Any]:
    """An item's events. Returns the item as it is at the end."""
    first, *body = group
    assert first["type"] == "response.output_item.added"
    start: dict[str, Any] = first["item"]
    last = body.pop()["item"] if is_done else None
    assert {event["item_id"] for event in body} <= {start["id"]}
    kind = start["type"]
    if not body and is_done:
        assert kind == "reasoning", "only what carries other texts says nothing"
        assert start == last
        return start
    assert start.get("status", "in_progress") == "in_progress"
    if kind == "message":
        assert start["content"] == []
        kind = body[0]["part"]["type"]
    _check_order(body, _BODIES[kind], is_done=is_done)
    item = _item_of(start, body, kind, is_done=is_done)
    if last is not None:
        item["status"] = last["status"]
        assert item["status"] in ("completed", "incomplete")
        assert item == last
    return item


def _check_order(body: list[dict[str, Any]], order: tuple[str, ...], *, is_done: bool) -> None:
    types = [event["type"] for event in body]
    for step in order:
        count = 0
        while types and types[0] == step.lstrip("+*") and (step[0] in "+*" or count == 0):
            types.pop(0)
            count += 1
        if count == 0 and not is_done:
            break
        assert count > 0 or step[0] == "*", f"{step} is missing"
    assert types == []


def _item_of(
    start: dict[str, Any], body: list[dict[str, Any]], kind: str, *, is_done: bool
) -> dict[str, Any]:
    """The item that the deltas make; what `done` events say is the same."""
    deltas: dict[str, str] = {}
    logprobs: list[Any] = []
    for event in body:
        if "delta" in event:
            deltas[event["type"]] = deltas.get(event["type"], "") + event["delta"]
            logprobs += event.get("logprobs", [])
        if "content_index" in event or "summary_index" in event:
            assert event.get("content_index", event.get("summary_index")) == 0
    assert all(event["delta"] for event in body if "delta" in event), "an empty delta says nothing"
    if is_done:
        assert len(set(deltas.values())) == 1 or kind == "custom_tool_call"
    text = next(iter(deltas.values()), "")
    for event in body:
        if event["type"].endswith(".done"):
            said = event.get("part", event)
            value = next(said[n] for n in ("text", "refusal", "arguments", "input") if n in said)
            assert value == text
            assert event.get("logprobs", logprobs) == logprobs
    item = {**start, "status": "incomplete"}
    if kind == "output_text":
        item["content"] = [{"type": kind, "text": text, "annotations": [], "logprobs": logprobs}]
    elif kind == "refusal":
        item["content"] = [{"type": kind, "refusal": text}]
    elif kind == "reasoning":
        item["summary"] = [{"type": "summary_text", "text": text}] if text else []
        item["content"] = [{"type": "reasoning_text", "text": text}] if text else []
    elif kind == "function_call":
        assert start["arguments"] == ""
        item["arguments"] = text
    else:
        assert start["input"] == ""
        item["input"] = text
    return item
