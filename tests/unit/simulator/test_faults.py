"""A fault is what its description says: otherwise a test of the gateway would pass by accident."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from tests.simulator import NAMED_FAULTS, Fault, QwenSimulator, Simulation, disconnected, ended, received
from tests.simulator.completions import Completion
from tests.unit.simulator.client import chat, chat_body

README = Path(__file__).parents[2] / "simulator" / "README.md"


def stream_bytes(**fault: Any) -> bytes:
    """A stream with the content deltas `ha`, `ha`, unless the fault says otherwise."""
    described = Fault.model_validate({"text": ["ha", "ha"], **fault})
    return b"".join(Completion(chat_body(stream=True), described, "0123456789abcdef").stream_events())


def data_of(stream: bytes) -> list[Any]:
    """The parsed data of a stream with plain framing, without `[DONE]`."""
    datas = [line[5:].strip() for line in stream.split(b"\n") if line.startswith(b"data:")]
    return [json.loads(data) for data in datas if data != b"[DONE]"]


def contents(stream: bytes) -> list[str]:
    deltas = [chunk["choices"][0]["delta"] for chunk in data_of(stream) if chunk["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


def test_every_ready_made_fault_changes_something() -> None:
    assert all(Fault.model_validate(name) != Fault.model_construct(name=name) for name in NAMED_FAULTS)


def test_the_readme_lists_every_field_and_every_ready_made_fault() -> None:
    words = set(re.findall(r"\w+", README.read_text(encoding="utf-8")))
    assert Fault.model_fields.keys() | NAMED_FAULTS.keys() <= words


@pytest.mark.parametrize(
    "description",
    [
        "no_such_fault",
        7,
        {"colour": "red"},
        {"name": ["bad_gateway"]},
        {"abort_after": -1},
        {"abort_after": True},
        {"abort_after": "3"},
        {"chunk_delay_ms": "fast"},
        {"text": [1]},
        {"newline": "vertical tab"},
        {"error": "html_502"},
        {"sequence": ["html_502"], "status": 500},
        {"sequence": ["no_such_fault"]},
        {"fail_first": 1.5, "status": 500},
        {"key": 7},
    ],
    ids=str,
)
async def test_what_is_not_understood_is_never_taken_for_healthy(
    simulator: QwenSimulator, description: object
) -> None:
    with pytest.raises(ValidationError):
        Simulation.model_validate(description)
    assert (await chat(simulator, simulate=description)).status == 418


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["arrearage", "rate_limit_retry_after", "html_502", "empty_200"])
async def test_a_ready_made_answer_arrives_as_described(
    simulator: QwenSimulator, name: str, stream: bool
) -> None:
    fault = Fault.model_validate(name)
    answer = await chat(simulator, stream=stream, simulate=name)
    assert answer.status == fault.status
    assert fault.headers.items() <= {name.title(): value for name, value in answer.headers.items()}.items()
    if isinstance(fault.body, str):
        assert answer.body.decode() == fault.body
    else:
        assert json.loads(answer.body)["error"] == fault.body["error"]


async def test_a_stated_reset_is_a_time(simulator: QwenSimulator) -> None:
    answer = await chat(simulator, simulate={"name": "will_reset_at", "reset_in_seconds": 3600})
    assert re.search(rb"will reset at \d\d-\d\d \d\d:\d\d:\d\d UTC", answer.body)


@pytest.mark.parametrize("name", ["connection_aborted", "connection_reset"])
async def test_a_connection_can_end_without_an_answer(simulator: QwenSimulator, name: str) -> None:
    with pytest.raises(httpx.TransportError):
        await chat(simulator, simulate=name)


async def test_json_can_come_in_place_of_a_stream(simulator: QwenSimulator) -> None:
    answer = await chat(simulator, stream=True, simulate="json_instead_of_sse")
    assert json.loads(answer.body)["object"] == "chat.completion"


class TestSelection:
    async def test_the_first_attempts_of_a_key_fail(self, simulator: QwenSimulator) -> None:
        simulate = {"name": "bad_gateway", "fail_first": 2, "then": {"text": ["fine"]}, "key": "k"}
        answers = [await chat(simulator, simulate=simulate) for _ in range(3)]
        assert [answer.status for answer in answers] == [502, 502, 200]
        assert b'"fine"' in answers[2].body
        assert (await chat(simulator, simulate={**simulate, "key": "another"})).status == 502

    async def test_attempts_can_fail_in_different_ways(self, simulator: QwenSimulator) -> None:
        simulate = {"sequence": ["service_unavailable", "rate_limit_exceeded"], "key": "k"}
        assert [(await chat(simulator, simulate=simulate)).status for _ in range(3)] == [503, 429, 200]
        assert len(simulator.find("k")) == 3

    async def test_a_fault_can_be_for_one_credential_only(self, simulator: QwenSimulator) -> None:
        for_another = {"name": "insufficient_quota_daily", "only_for": ["another-key"]}
        assert (await chat(simulator, simulate=for_another)).status == 200
        simulator.faults.add("arrearage", credential="another-key")
        assert (await chat(simulator)).status == 200
        simulator.faults.add("arrearage", credential="simulator-api-key", times=2)
        assert [(await chat(simulator)).status for _ in range(3)] == [400, 400, 200]


class TestStreamContent:
    def test_usage_and_reasoning_come_only_when_asked_for(self) -> None:
        stream = stream_bytes()
        assert b"usage" not in stream
        assert b"reasoning_content" not in stream

    def test_deltas_are_sent_as_they_are_described(self) -> None:
        assert contents(stream_bytes(name="repeated_deltas", text=["ha", "ha"])) == ["ha", "ha"]
        assert contents(stream_bytes(cumulative=True, text=["a", "b", "c"])) == ["a", "ab", "abc"]
        assert len(contents(stream_bytes(text=None, burst=2000))) == 2000

    def test_usage_without_finish(self) -> None:
        *chunks, last = data_of(stream_bytes(name="usage_without_finish"))
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0
        assert all(choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"])

    def test_quirks_of_tool_calls(self) -> None:
        calls = [{"name": "f", "arguments": '{"a": 1}'}, {"name": "g", "arguments": "not json"}]
        chunks = data_of(
            stream_bytes(
                tool_calls=calls, text=None, finish_reason="stop", null_tool_names=True, tool_index="zero"
            )
        )
        fragments = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
        assert [(call["index"], call["function"]["name"]) for call in fragments] == [
            (0, "f"),
            (0, None),
            (0, "g"),
            (0, None),
        ]
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"

    @pytest.mark.parametrize("place", [0, 2])
    def test_an_error_event_in_dashscopes_own_form(self, place: int) -> None:
        stream = stream_bytes(error_event_after=place)
        expected = (
            b"id:1\nevent:error\n:HTTP_STATUS/429\n"
            b'data:{"request_id":"0123456789abcdef","code":"Throttling.RateQuota",'
            b'"message":"Requests rate limit exceeded, please try again later."}\n\n'
        )
        assert stream.endswith(expected)
        assert stream[: -len(expected)].count(b"data:") == place

    @pytest.mark.parametrize("place", [0, 2])
    def test_other_errors_in_a_stream(self, place: int) -> None:
        *before, last = data_of(stream_bytes(error_data_after=place, error="data_inspection_failed"))
        assert (len(before), last["error"]["code"]) == (place, "data_inspection_failed")
        *before, last = data_of(stream_bytes(error_finish_after=place))
        assert (len(before), last["choices"][0]["finish_reason"]) == (place, "error_finish")

    def test_an_error_beyond_the_end_comes_at_the_end(self) -> None:
        assert "error" in data_of(stream_bytes(error_data_after=999))[-1]


class TestFraming:
    def test_plain(self) -> None:
        stream = stream_bytes()
        assert stream.count(b"data: {") == 4
        assert stream.endswith(b"}\n\ndata: [DONE]\n\n")
        assert b"\r" not in stream
        assert not stream_bytes(no_done=True).endswith(b"[DONE]\n\n")

    @pytest.mark.parametrize(("newline", "end"), [("crlf", b"\r\n"), ("cr", b"\r")])
    def test_other_newlines(self, newline: str, end: bytes) -> None:
        stream = stream_bytes(newline=newline)
        assert stream.endswith(b"}" + end * 2 + b"data: [DONE]" + end * 2)
        assert b"\n" not in stream.replace(b"\r\n", b"")

    def test_no_space_id_and_event_lines_comments_and_byte_order_mark(self) -> None:
        stream = stream_bytes(no_space=True, id_lines=True, event_lines=True, comment_every=2, bom=True)
        assert stream.startswith(b'\xef\xbb\xbf: comment 0\n\nid:1\nevent:result\ndata:{"id"')
        assert stream.endswith(b": comment 4\n\nid:5\nevent:result\ndata:[DONE]\n\n")

    def test_data_over_several_lines(self) -> None:
        lines = stream_bytes(multi_line=True).split(b"\n\n")[0].split(b"\n")
        assert len(lines) > 10
        document = json.loads(b"\n".join(line.removeprefix(b"data: ") for line in lines))
        assert document["choices"][0]["delta"] == {"role": "assistant", "content": ""}


class TestWire:
    async def test_each_event_is_one_chunk(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, stream=True, simulate={"text": ["a", "b"], "chunk_delay_ms": 10})
        assert len(answer.chunks) == 5
        assert all(chunk.endswith(b"\n\n") for chunk in answer.chunks)

    @pytest.mark.parametrize("size", [1, 7, 500])
    async def test_bytes_can_be_split_anywhere(self, simulator: QwenSimulator, size: int) -> None:
        answer = await chat(simulator, stream=True, simulate={"text": ["ä", "b"], "split_bytes": size})
        assert {len(chunk) for chunk in answer.chunks[:-1]} == {size}
        assert contents(answer.body) == ["ä", "b"]

    async def test_raw_writes_go_out_as_they_are(self, simulator: QwenSimulator) -> None:
        raw = ["data:{\r", "\n\r", ": ü\n"]
        answer = await chat(simulator, stream=True, simulate={"raw": raw})
        assert [chunk.decode() for chunk in answer.chunks] == raw

    @pytest.mark.parametrize(
        ("simulate", "events", "is_complete"),
        [
            ({"abort_after": 3}, 3, False),
            ({"end_after": 3}, 3, True),
            ({"text": ["a"], "stall_after": 1, "stall_ms": 20}, 4, True),
        ],
        ids=str,
    )
    async def test_a_stream_ends_as_described(
        self, simulator: QwenSimulator, simulate: dict[str, Any], events: int, is_complete: bool
    ) -> None:
        answer = await chat(simulator, stream=True, simulate=simulate)
        assert (answer.body.count(b"data: "), answer.is_complete) == (events, is_complete)
        assert (b"[DONE]" in answer.body) is (events == 4)

    async def test_a_document_can_break_off(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, simulate={"abort_after": 10})
        assert (len(answer.body), answer.is_complete) == (10, False)

    async def test_delays_are_kept(self, simulator: QwenSimulator) -> None:
        delays = {"delay_before_headers_ms": 30, "delay_before_first_chunk_ms": 40, "chunk_delay_ms": 10}
        await chat(simulator, stream=True, simulate={"text": ["a"], **delays})
        request = simulator.chats[-1]
        assert request.first_byte_at is not None
        assert request.ended_at is not None
        assert request.first_byte_at - request.received_at >= 0.069
        assert request.ended_at - request.first_byte_at >= 0.029


@pytest.mark.parametrize(
    "simulate",
    [
        {"stall_after": 2},
        {"delay_before_headers_ms": 60_000},
        {"delay_before_first_chunk_ms": 60_000},
        {"endless": True, "chunk_delay_ms": 5},
        {"endless": True, "delta_bytes": 2_000},
    ],
    ids="+".join,
)
async def test_a_clients_disconnect_is_noticed_at_once(
    simulator: QwenSimulator, simulate: dict[str, Any]
) -> None:
    asking = asyncio.create_task(chat(simulator, stream=True, simulate={**simulate, "key": "k"}))
    await asyncio.to_thread(simulator.recorder.wait_for, "k", received)
    asking.cancel()
    await asyncio.to_thread(simulator.recorder.wait_for, "k", disconnected, timeout_seconds=1)


async def test_what_was_received_is_recorded(simulator: QwenSimulator) -> None:
    await chat(simulator, simulate={"key": "k", "name": "bad_gateway"}, top_k=5)
    request = await asyncio.to_thread(simulator.recorder.wait_for, "k", ended)
    assert (request.method, request.path, request.endpoint) == ("POST", "/v1/chat/completions", "chat")
    assert request.headers["AUTHORIZATION"] == "Bearer simulator-api-key"
    assert isinstance(request.body, dict)
    assert request.body == json.loads(request.raw_body)
    assert request.body["top_k"] == 5
    assert (request.status, request.fault, request.credential) == (502, "bad_gateway", "simulator-api-key")
    assert (request.attempt, request.outcome) == (1, "completed")
