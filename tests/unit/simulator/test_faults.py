from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import NAMED_FAULTS, Fault, QwenSimulator, Simulation, SimulationError, disconnected
from tests.simulator.completions import Completion
from tests.unit.simulator.http_client import QUESTION, chat, chat_body, send

WITH_STATUS = [name for name, fields in NAMED_FAULTS.items() if "status" in fields]
README = Path(__file__).parents[2] / "simulator" / "README.md"
REQUEST_ID = "0123456789abcdef"


def stream_bytes(**fault: Any) -> bytes:
    """The bytes of a stream with the content deltas `ha`, `ha`, unless the fault says otherwise."""
    simulate = Fault.from_json(fault if "name" in fault else {"text": ["ha", "ha"], **fault})
    return b"".join(Completion(chat_body(stream=True), simulate, REQUEST_ID).stream_events())


def data_of(stream: bytes) -> list[Any]:
    datas = [line[5:].strip() for line in stream.split(b"\n") if line.startswith(b"data:")]
    return [json.loads(data) for data in datas if data != b"[DONE]"]


def contents(stream: bytes) -> list[str]:
    deltas = [chunk["choices"][0]["delta"] for chunk in data_of(stream) if chunk["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


class TestDescriptions:
    @pytest.mark.parametrize("name", list(NAMED_FAULTS))
    def test_every_ready_made_fault_can_be_selected(self, name: str) -> None:
        fault = Fault.from_json(name)
        assert fault.name == name
        assert fault != Fault(name=name)

    def test_the_readme_lists_every_field_and_every_ready_made_fault(self) -> None:
        words = set(re.findall(r"\w+", README.read_text(encoding="utf-8")))
        assert {field.name for field in dataclasses.fields(Fault)} | NAMED_FAULTS.keys() <= words

    @pytest.mark.parametrize(
        "description",
        [
            "no_such_fault",
            7,
            {"colour": "red"},
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
    )
    async def test_what_is_not_understood_is_never_taken_for_healthy(
        self, simulator: QwenSimulator, description: object
    ) -> None:
        answer = await chat(simulator, simulate=description)
        assert answer.status == 418
        assert answer.json()["error"]["code"] == "simulator_misuse"
        with pytest.raises(SimulationError):
            Simulation.from_json(description)  # type: ignore[arg-type]


class TestAnswers:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", WITH_STATUS)
    async def test_a_ready_made_answer_arrives_as_described(
        self, simulator: QwenSimulator, name: str, stream: bool
    ) -> None:
        described = Fault.from_json(name)
        answer = await chat(simulator, stream=stream, simulate=name)
        assert answer.status == described.status
        if isinstance(described.body, str):
            assert answer.body.decode() == described.body
        else:
            expected = json.loads(json.dumps(described.body))
            received = answer.json()
            received.pop("request_id", None)
            if name != "will_reset_at":
                assert received == expected
        assert {
            name.lower(): value for name, value in described.headers.items()
        }.items() <= answer.headers.items()

    async def test_a_stated_reset_lies_as_far_ahead_as_asked(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, simulate={"name": "will_reset_at", "reset_in_seconds": 3600})
        assert "will reset at" in answer.json()["error"]["message"]
        assert "{reset_at}" not in answer.body.decode()

    async def test_a_document_can_break_off(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, simulate={"abort_after": 10})
        assert (len(answer.body), answer.complete) == (10, False)
        assert simulator.chats[-1].outcome == "broken_off"

    @pytest.mark.parametrize("name", ["connection_aborted", "connection_reset"])
    async def test_a_connection_can_end_without_an_answer(self, simulator: QwenSimulator, name: str) -> None:
        with pytest.raises(ConnectionError):
            await chat(simulator, simulate=name)

    async def test_json_can_come_in_place_of_a_stream(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, stream=True, simulate="json_instead_of_sse")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["object"] == "chat.completion"


class TestSelection:
    async def test_the_first_attempts_of_a_key_fail(self, simulator: QwenSimulator) -> None:
        simulate = {"name": "bad_gateway", "fail_first": 2, "then": {"text": ["fine"]}, "key": "k"}
        answers = [await chat(simulator, simulate=simulate) for _ in range(3)]
        assert [answer.status for answer in answers] == [502, 502, 200]
        assert answers[2].json()["choices"][0]["message"]["content"] == "fine"
        assert simulator.attempts("k") == 3
        other = await chat(simulator, simulate={**simulate, "key": "another"})
        assert other.status == 502

    async def test_attempts_can_fail_in_different_ways_by_request_id(self, simulator: QwenSimulator) -> None:
        simulate = {"sequence": ["service_unavailable", "rate_limit_exceeded"]}
        headers = {"x-request-id": "request-1"}
        statuses = [(await chat(simulator, headers=headers, simulate=simulate)).status for _ in range(3)]
        assert statuses == [503, 429, 200]
        assert [request.attempt for request in simulator.find("request-1")] == [1, 2, 3]

    async def test_a_fault_can_be_for_one_credential_only(self, simulator: QwenSimulator) -> None:
        from_body = {"name": "insufficient_quota_daily", "only_for": ["another-key"]}
        assert (await chat(simulator, simulate=from_body)).status == 200
        simulator.faults.add("arrearage", times=None, credential="another-key")
        assert (await chat(simulator)).status == 200
        simulator.faults.add("arrearage", times=None, credential="simulator-api-key")
        assert [(await chat(simulator)).status for _ in range(3)] == [400, 400, 400]
        simulator.faults.clear()
        assert (await chat(simulator)).status == 200


class TestStreamContent:
    def test_repeated_deltas_stay_repeated(self) -> None:
        assert contents(stream_bytes(name="repeated_deltas")) == ["ha", "ha", "ha"]

    def test_cumulative_deltas_restate_the_text(self) -> None:
        assert contents(stream_bytes(cumulative=True, text=["a", "b", "c"])) == ["a", "ab", "abc"]

    def test_a_burst_has_exactly_so_many_deltas(self) -> None:
        simulate = Fault.from_json({"burst": 2000})
        stream = b"".join(Completion(chat_body(stream=True), simulate, REQUEST_ID).stream_events())
        assert len(contents(stream)) == 2000

    def test_usage_without_finish(self) -> None:
        chunks = data_of(stream_bytes(name="usage_without_finish"))
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["completion_tokens"] > 0
        assert all(choice["finish_reason"] is None for chunk in chunks for choice in chunk["choices"])

    def test_quirks_of_tool_calls(self) -> None:
        calls = [{"name": "f", "arguments": '{"a": 1}'}, {"name": "g", "arguments": "not json"}]
        stream = stream_bytes(
            tool_calls=calls, text=None, finish_reason="stop", null_tool_names=True, tool_index="zero"
        )
        fragments = [
            fragment
            for chunk in data_of(stream)
            for fragment in chunk["choices"][0]["delta"].get("tool_calls", ())
        ]
        assert [fragment["index"] for fragment in fragments] == [0] * 4
        assert [fragment["function"]["name"] for fragment in fragments] == ["f", None, "g", None]
        assert data_of(stream)[-1]["choices"][0]["finish_reason"] == "stop"

    @pytest.mark.parametrize("place", [0, 2])
    def test_an_error_event_in_dashscopes_own_form(self, place: int) -> None:
        stream = stream_bytes(error_event_after=place, error="throttling_rate_quota")
        expected = (
            b"id:1\nevent:error\n:HTTP_STATUS/429\n"
            b'data:{"request_id":"0123456789abcdef","code":"Throttling.RateQuota",'
            b'"message":"Requests rate limit exceeded, please try again later."}\n\n'
        )
        assert stream.endswith(expected)
        assert stream[: -len(expected)].count(b"data:") == place

    @pytest.mark.parametrize("place", [0, 2])
    def test_an_error_in_the_data(self, place: int) -> None:
        *before, error = data_of(stream_bytes(error_data_after=place, error="data_inspection_failed"))
        assert len(before) == place
        assert error["error"]["code"] == "data_inspection_failed"

    @pytest.mark.parametrize("place", [0, 2])
    def test_an_error_as_a_finish_reason(self, place: int) -> None:
        *before, last = data_of(stream_bytes(error_finish_after=place))
        assert len(before) == place
        assert last["choices"][0]["finish_reason"] == "error_finish"
        assert json.loads(last["choices"][0]["delta"]["content"])["error"]["code"] == "429"

    def test_an_error_beyond_the_end_comes_at_the_end(self) -> None:
        assert "error" in data_of(stream_bytes(error_data_after=999))[-1]


class TestFraming:
    def test_plain(self) -> None:
        stream = stream_bytes()
        assert stream.count(b"data: {") == 4
        assert stream.endswith(b"}\n\ndata: [DONE]\n\n")
        assert b"\r" not in stream

    def test_no_done(self) -> None:
        assert not stream_bytes(no_done=True).endswith(b"[DONE]\n\n")

    @pytest.mark.parametrize(("newline", "end"), [("crlf", b"\r\n"), ("cr", b"\r")])
    def test_other_newlines(self, newline: str, end: bytes) -> None:
        stream = stream_bytes(newline=newline)
        assert stream.endswith(b"}" + end * 2 + b"data: [DONE]" + end * 2)
        assert stream.replace(end, b"").isascii()
        assert b"\n" not in stream.replace(b"\r\n", b"")

    def test_no_space_id_and_event_lines_comments_and_byte_order_mark(self) -> None:
        stream = stream_bytes(no_space=True, id_lines=True, event_lines=True, comment_every=2, bom=True)
        assert stream.startswith(b'\xef\xbb\xbf: comment 0\n\nid:1\nevent:result\ndata:{"id"')
        assert stream.endswith(b": comment 4\n\nid:5\nevent:result\ndata:[DONE]\n\n")
        assert stream.count(b": comment") == 3

    def test_data_over_several_lines(self) -> None:
        first = stream_bytes(multi_line=True).split(b"\n\n")[0]
        lines = first.split(b"\n")
        assert len(lines) > 10
        assert all(line.startswith(b"data: ") for line in lines)
        document = json.loads(b"\n".join(line.removeprefix(b"data: ") for line in lines))
        assert document["choices"][0]["delta"] == {"role": "assistant", "content": ""}


class TestWire:
    async def test_each_event_is_one_chunk_unless_split(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, stream=True, simulate={"text": ["ä", "b"]})
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
        assert answer.complete

    async def test_death_mid_stream_leaves_the_body_unfinished(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, stream=True, simulate={"abort_after": 3})
        assert (len(answer.chunks), answer.complete) == (3, False)
        assert simulator.chats[-1].outcome == "broken_off"

    async def test_death_can_be_a_reset(self, simulator: QwenSimulator) -> None:
        with pytest.raises(ConnectionResetError):
            await chat(simulator, stream=True, simulate={"abort_after": 3, "reset": True})

    async def test_an_early_end_is_clean(self, simulator: QwenSimulator) -> None:
        answer = await chat(simulator, stream=True, simulate={"end_after": 3})
        assert (len(answer.chunks), answer.complete) == (3, True)
        assert b'finish_reason":"' not in answer.body
        assert b"[DONE]" not in answer.body

    async def test_a_short_stall_ends(self, simulator: QwenSimulator) -> None:
        answer = await chat(
            simulator, stream=True, simulate={"text": ["a"], "stall_after": 1, "stall_ms": 20}
        )
        assert answer.events()[-1] == "[DONE]"

    async def test_delays_are_kept(self, simulator: QwenSimulator) -> None:
        delays = {"delay_before_headers_ms": 30, "delay_before_first_chunk_ms": 40, "chunk_delay_ms": 10}
        await chat(simulator, stream=True, simulate={"text": ["a"], **delays})
        request = simulator.chats[-1]
        assert request.first_byte_at is not None
        assert request.ended_at is not None
        assert request.first_byte_at - request.received_at >= 0.069
        assert request.ended_at - request.first_byte_at >= 0.029


class TestDisconnect:
    @pytest.mark.parametrize(
        "simulate",
        [
            {"stall_after": 2},
            {"delay_before_headers_ms": 60_000},
            {"delay_before_first_chunk_ms": 60_000},
            {"endless": True, "chunk_delay_ms": 5},
            {"endless": True, "delta_bytes": 2_000},
        ],
        ids=lambda simulate: "+".join(simulate),
    )
    async def test_a_clients_disconnect_is_noticed_at_once(
        self, simulator: QwenSimulator, simulate: dict[str, Any]
    ) -> None:
        body = json.dumps(chat_body(stream=True, simulate={**simulate, "key": "k"})).encode()
        headers = {"Authorization": "Bearer simulator-api-key"}
        _, writer = await send(simulator, "/v1/chat/completions", body, headers)
        request = await simulator.recorder.wait_for_async("k")
        assert request.outcome == "pending"
        writer.transport.abort()
        await simulator.recorder.wait_for_async("k", disconnected, timeout_seconds=1)
        assert simulator.recorder.active == 0

    async def test_without_a_disconnect_none_is_recorded(self, simulator: QwenSimulator) -> None:
        await chat(simulator, stream=True, simulate={"key": "k"})
        assert simulator.find("k")[0].outcome == "completed"
        assert not simulator.find("k")[0].disconnected


async def test_what_was_received_is_recorded(simulator: QwenSimulator) -> None:
    await chat(simulator, headers={"X-Test": "1"}, simulate={"key": "k", "name": "bad_gateway"}, top_k=5)
    (request,) = simulator.find("k")
    assert (request.method, request.path, request.endpoint) == ("POST", "/v1/chat/completions", "chat")
    assert request.headers["x-test"] == "1"
    assert request.body == json.loads(request.raw_body)
    assert isinstance(request.body, dict)
    assert (request.body["top_k"], request.body["messages"]) == (5, [QUESTION])
    assert (request.status, request.fault, request.credential) == (502, "bad_gateway", "simulator-api-key")
