"""A chat stream becomes a Responses stream, and an unfinished one never looks finished."""

import json
from typing import Any

import pytest

from qwen_worker.errors import (
    InternalError,
    InvalidRequest,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    StreamFailed,
    UpstreamTimeout,
)
from tests.support.chunks import DONE, event
from tests.support.responses_grammar import read_stream, split_events
from tests.unit.api.responses.translating import (
    END,
    USAGE,
    USAGE_CHUNK,
    arguments_of,
    asked,
    call,
    delta,
    finish,
    text,
    thought,
    translate,
    translator,
)


def test_a_text_goes_out_as_the_nine_events_that_all_clients_read() -> None:
    stream = translate(text("Hello") + text(" world"), END)

    assert stream.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert stream.text == "Hello world"


def test_the_first_text_goes_out_with_the_first_piece() -> None:
    stream = translator()

    first = stream.feed(text("Hello"))
    second = stream.feed(text(" world"))

    assert split_events(first)[-1]["delta"] == "Hello"
    assert [event["type"] for event in split_events(second)] == ["response.output_text.delta"]


def test_usage_comes_after_the_finish_reason_and_is_told_in_full() -> None:
    stream = translate(text("Hello"), finish(), USAGE_CHUNK, DONE)

    assert stream.response["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 18,
    }


def test_facts_for_the_log() -> None:
    stream = translator()
    stream.feed(text("Hello") + END)
    assert stream.is_over
    stream.end(None)

    assert (stream.error, stream.finish_reason, stream.usage) == (None, "stop", USAGE)


def test_reasoning_is_a_summary_and_itself() -> None:
    stream = translate(thought("Hm"), thought("m."), text("Yes"), END)

    assert [item["type"] for item in stream.response["output"]] == ["reasoning", "message"]
    assert stream.reasoning == "Hmm."
    assert stream.items("reasoning")[0]["content"] == [{"type": "reasoning_text", "text": "Hmm."}]
    assert stream.types.count("response.reasoning_summary_text.delta") == 2
    assert stream.types.count("response.reasoning_text.delta") == 1


def test_reasoning_and_text_of_one_chunk_are_two_items() -> None:
    stream = translate(delta(reasoning_content="Hm", content="Yes"), END)

    assert (stream.reasoning, stream.text) == ("Hm", "Yes")


def test_a_call_is_streamed() -> None:
    stream = translate(
        call(0, "", call_id="call_a", name="look"),
        call(0, '{"at":', call_id=""),
        call(0, ' "x"}', call_id=""),
        finish("tool_calls") + DONE,
    )

    [item] = stream.items("function_call")
    assert (item["name"], item["call_id"], item["arguments"]) == ("look", "call_a", '{"at": "x"}')
    assert stream.types.count("response.function_call_arguments.delta") == 2


def test_parallel_calls_come_one_after_the_other() -> None:
    stream = translate(
        call(0, '{"n":', call_id="call_a", name="one"),
        call(1, '{"n":', call_id="call_b", name="two"),
        call(0, "1}"),
        call(1, "2}"),
        finish("tool_calls") + DONE,
    )

    assert [arguments_of(item) for item in stream.items("function_call")] == [{"n": 1}, {"n": 2}]


def test_a_call_whose_arguments_are_whole_is_done_when_the_next_one_begins() -> None:
    stream = translator()

    out = stream.feed(
        call(0, '{"n":1}', call_id="call_a", name="one") + call(1, '{"n"', call_id="call_b", name="two")
    )

    done = [each for each in split_events(out) if each["type"] == "response.output_item.done"]
    assert [each["item"]["call_id"] for each in done] == ["call_a"]


def test_text_before_between_and_after_calls_keeps_its_order() -> None:
    stream = translate(
        text("a"),
        call(0, "{}", call_id="x", name="f"),
        text("b"),
        call(1, "{}", call_id="y", name="f"),
        text("c"),
        END,
    )

    assert [item["type"] for item in stream.response["output"]] == [
        "message",
        "function_call",
        "message",
        "function_call",
        "message",
    ]
    assert stream.text == "abc"


@pytest.mark.parametrize(
    ("chunks", "ids"),
    [
        ([call(None, "{}", call_id="a", name="f"), call(None, "{}", call_id="b", name="f")], ["a", "b"]),
        ([call(0, "{}", call_id="a", name="f"), call(0, "{}", call_id="b", name="f")], ["a", "b"]),
        ([call(None, '{"x"', call_id="a", name="f"), call(None, ":1}")], ["a"]),
        ([call(0, '{"x"', call_id="a", name="f"), call(0, ":1}", call_id="a", name="f")], ["a"]),
        ([call(0, '{"x"', call_id="a", name="f"), call(0, ":1}", call_id="other")], ["a"]),
    ],
)
def test_calls_are_told_apart_by_what_hosts_send(chunks: list[bytes], ids: list[str]) -> None:
    stream = translate(*chunks, END)

    calls = stream.items("function_call")
    assert [item["call_id"] for item in calls] == ids
    assert all(isinstance(arguments_of(item), dict) for item in calls)


def test_a_call_without_an_id_or_with_another_ones_gets_its_own() -> None:
    stream = translate(
        call(0, "{}", name="f"),
        call(1, "{}", call_id="a", name="f"),
        call(2, "{}", call_id="a", name="f"),
        END,
    )

    assert len({item["call_id"] for item in stream.items("function_call")}) == 3


def test_a_name_that_comes_late_is_waited_for() -> None:
    stream = translate(call(0, '{"a":', call_id="x"), call(0, "1}", name="f"), END)

    [item] = stream.items("function_call")
    assert (item["name"], item["arguments"]) == ("f", '{"a":1}')


def test_the_legacy_function_call_is_a_call() -> None:
    stream = translate(
        delta(function_call={"name": "f", "arguments": '{"a":'}),
        delta(function_call={"arguments": "1}"}),
        finish("function_call") + DONE,
    )

    [item] = stream.items("function_call")
    assert arguments_of(item) == {"a": 1}


def test_a_refusal_is_a_refusal() -> None:
    stream = translate(delta(refusal="I "), delta(refusal="won't."), END)

    assert stream.items("message")[0]["content"] == [{"type": "refusal", "refusal": "I won't."}]


def test_log_probabilities_are_passed_on() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    chunk = {
        "index": 0,
        "delta": {"content": "Hi"},
        "logprobs": {"content": [token]},
        "finish_reason": None,
    }
    stream = translate(event({"choices": [chunk]}), text("!"), END)

    assert stream.items("message")[0]["content"][0]["logprobs"] == [token]


NAMESPACE = {
    "type": "namespace",
    "name": "agents",
    "description": "",
    "tools": [{"type": "function", "name": "close"}],
}
PATCH = {"type": "custom", "name": "apply_patch"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"input": "*** Begin\\n\\"x\\""}', '*** Begin\n"x"'),
        ('{"patch": "*** Begin"}', "*** Begin"),
        ("*** Begin", "*** Begin"),
        ("", ""),
        ('{"input": 1}', '{"input": 1}'),
        ('{"input": "a", "b": 1}', "a"),
    ],
)
def test_a_custom_tool_gets_its_raw_input(arguments: str, said: str) -> None:
    stream = translate(
        *(
            call(0, arguments[place : place + 3], call_id="c", name="apply_patch")
            for place in range(0, 99, 3)
        ),
        finish("tool_calls") + DONE,
        about=asked(tools=[PATCH]),
    )

    [item] = stream.items("custom_tool_call")
    assert (item["name"], item["input"]) == ("apply_patch", said)
    assert "response.function_call_arguments.delta" not in stream.types


# --- ends


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("function_call", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_the_finish_reason_decides(reason: str, status: str, details: Any) -> None:
    stream = translate(text("Hello"), finish(reason), DONE)

    assert (stream.response["status"], stream.response["incomplete_details"]) == (status, details)
    assert stream.items("message")[0]["status"] == status


@pytest.mark.parametrize(
    ("end", "failure", "message"),
    [
        (b"", None, "before the completion was finished"),
        (DONE, None, "before the completion was finished"),
        (USAGE_CHUNK + DONE, None, "before the completion was finished"),
        (b"", StreamFailed("broken"), "broken"),
        (text("cut off")[:-20], StreamFailed("broken"), "broken"),
        (b"data: no JSON\n\n", None, "not a chat completion chunk"),
        (b'id:1\nevent:error\n:HTTP_STATUS/500\ndata:{"code":"x","message":"oh"}\n\n' + DONE, None, "oh"),
        (delta("error_finish", content="oh") + DONE, None, "oh"),
        (event({"error": {"message": "oh"}}) + text("more") + END, None, "oh"),
    ],
)
def test_a_stream_that_is_not_whole_has_failed(end: bytes, failure: ProxyError | None, message: str) -> None:
    stream = translate(text("Hello") + end, failure=failure)

    assert stream.response["status"] == "failed"
    assert stream.response["error"]["code"] == "server_error"
    assert message in stream.response["error"]["message"]
    assert stream.text == "Hello"
    assert stream.items("message")[0]["status"] == "incomplete"
    assert "response.output_item.done" not in stream.types


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    assert translate(text("Hello") + finish(), failure=StreamFailed("x")).response["status"] == "completed"


@pytest.mark.parametrize("arguments", ["", '{"path": "/"', '{"path'])
@pytest.mark.parametrize("reason", ["length", None])
def test_a_call_that_was_cut_off_is_never_done(arguments: str, reason: str | None) -> None:
    """A client runs what is done."""
    chunks = [text("I will"), call(0, arguments, call_id="c", name="remove")]
    stream = translate(*chunks, finish(reason) if reason else b"", DONE)

    [item] = stream.items("function_call")
    assert (item["status"], item["arguments"]) == ("incomplete", arguments)
    assert stream.response["status"] == ("incomplete" if reason else "failed")
    done = [each["item"]["type"] for each in stream.events if each["type"].endswith("item.done")]
    assert "function_call" not in done
    assert "response.function_call_arguments.done" not in stream.types


def test_a_finished_call_of_a_cut_answer_is_done() -> None:
    stream = translate(
        call(0, '{"a": 1}', call_id="c", name="f"),
        call(1, '{"b', call_id="d", name="f"),
        finish("length"),
        DONE,
    )

    assert [item["status"] for item in stream.items("function_call")] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InvalidRequest("x", code="context_length_exceeded"), "context_length_exceeded", "x"),
        (QuotaExhausted("x"), "insufficient_quota", "x"),
        (RateLimited("x", retry_after_seconds=1.5), "rate_limit_exceeded", "x Please try again in 1.5s."),
        (RateLimited("x"), "rate_limit_exceeded", "x"),
        (InvalidRequest("x"), "invalid_prompt", "x"),
        (UpstreamTimeout("x", retry_after_seconds=3), "server_error", "x"),
        (InternalError("x"), "server_error", "x"),
    ],
)
def test_errors_have_the_codes_that_codex_reads(error: ProxyError, code: str, message: str) -> None:
    assert translate(failure=error).response["error"] == {"code": code, "message": message}


def test_an_error_within_the_stream_keeps_its_meaning() -> None:
    throttled = b':HTTP_STATUS/429\ndata:{"code":"Throttling.RateQuota","message":"slow down"}\n\n'
    stream = translator()
    out = stream.feed(text("a") + throttled)
    assert stream.is_over
    response = read_stream(out + stream.end(None)).response

    assert response["error"]["code"] == "rate_limit_exceeded"
    assert "try again in 10.0s" in response["error"]["message"]
    assert isinstance(stream.error, StreamFailed)


def test_nothing_follows_the_end() -> None:
    stream = translator()
    out = stream.feed(text("a") + END + text("b"))
    out += stream.feed(text("c"))

    assert read_stream(out + stream.end(None)).text == "a"


# --- waiting


def test_a_silent_host_is_bridged_with_events_that_reset_the_timer_of_codex() -> None:
    stream = translator()
    out = stream.keep_alive()
    assert [each["type"] for each in split_events(out)] == ["response.created", "response.in_progress"]
    again = stream.keep_alive()
    assert [each["type"] for each in split_events(again)] == ["response.in_progress"]
    out += again + stream.feed(text("Hello")) + stream.keep_alive() + stream.feed(END)

    assert read_stream(out + stream.end(None)).text == "Hello"


def test_the_parameters_are_repeated() -> None:
    about = asked(
        tools=[NAMESPACE, PATCH],
        temperature=0,
        metadata={"a": "b"},
        text={"verbosity": "low"},
        reasoning={"effort": "high"},
        instructions="Be brief.",
        tool_choice="required",
        parallel_tool_calls=False,
        prompt_cache_key="key",
        user="someone",
    )
    response = translate(END, about=about).events[0]["response"]

    assert response["tools"] == [NAMESPACE, PATCH]
    assert response["temperature"] == 0
    assert response["metadata"] == {"a": "b"}
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert response["reasoning"] == {"effort": "high", "summary": None}
    assert response["instructions"] == "Be brief."
    assert (response["tool_choice"], response["parallel_tool_calls"]) == ("required", False)
    assert (response["prompt_cache_key"], response["user"]) == ("key", "someone")


def test_all_of_a_stream_is_ascii_and_any_text_survives() -> None:
    said = 'é\U0001f642\ud83d"\\\n\x00\u2028'
    stream = translator()
    out = stream.feed(b"data: " + json.dumps({"choices": [{"delta": {"content": said}}]}).encode() + b"\n\n")
    out += stream.feed(END) + stream.end(None)

    assert out.isascii()
    assert read_stream(out).text == said
