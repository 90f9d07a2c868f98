"""A chat stream becomes a Responses stream: texts, parameters, and what is sent while the host is silent."""

import json

from tests.support.chunks import DONE, event
from tests.support.responses_grammar import read_stream, split_events
from tests.unit.api.responses.translating import (
    END,
    USAGE,
    USAGE_CHUNK,
    asked,
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


def test_only_the_first_choice_counts() -> None:
    other = event({"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": "length"}]})
    stream = translate(text("a"), other, text("b"), END, other)

    assert (stream.text, stream.response["status"]) == ("ab", "completed")


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


def test_a_silent_host_is_bridged_with_events_that_reset_the_timer_of_codex() -> None:
    stream = translator()
    out = stream.keep_alive()
    assert [each["type"] for each in split_events(out)] == ["response.created", "response.in_progress"]
    again = stream.keep_alive()
    assert [each["type"] for each in split_events(again)] == ["response.in_progress"]
    out += again + stream.feed(text("Hello")) + stream.keep_alive() + stream.feed(END)

    assert read_stream(out + stream.end(None)).text == "Hello"


def test_what_was_got_ready_beforehand_is_not_sent_by_itself() -> None:
    ready, other = translator(), translator()

    ready.get_ready()

    assert ready.feed(text("Hello")) + ready.end(None) == other.feed(text("Hello")) + other.end(None)


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
