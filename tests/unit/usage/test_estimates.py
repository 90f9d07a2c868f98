"""Tokens that the host does not tell, held against Qwen's own tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.usage.estimates import IMAGE_TOKENS, estimated_input, estimated_output, sample_of
from tests.unit.api.messages.vocabulary import token_count

ROOT = Path(__file__).parents[3]
PROSE = (ROOT / "CONTRIBUTING.md").read_text()
CODE = (ROOT / "src" / "qwen_worker" / "app.py").read_text()


def body_of(*texts: str, **more: Any) -> bytes:
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": text} for index, text in enumerate(texts)]
    body = {"model": "qwen3-coder-plus", "stream": True, "messages": messages, **more}
    return json.dumps(body, ensure_ascii=False).encode()


def true_input(*texts: str) -> int:
    return sum(5 + token_count(text) for text in texts) + 5


@pytest.mark.parametrize(
    "texts",
    [
        ("Say hello.",),
        ("What is the capital of France?", "Paris.", "And of Germany?"),
        tuple(PROSE[start : start + 700] for start in range(0, 7_000, 700)),
        (CODE,),
        (PROSE, CODE) * 8,
        ("请解释这段代码 它为什么这么慢。" * 100,),
    ],
    ids=["tiny", "small", "conversation", "code", "long", "chinese"],
)
def test_a_request_is_estimated_within_fifteen_per_cent(texts: tuple[str, ...]) -> None:
    truth = true_input(*texts)
    assert estimated_input(sample_of(body_of(*texts))) == pytest.approx(truth, rel=0.15, abs=4)


def test_images_count_for_themselves_and_not_by_their_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 30_000}}
    content = [{"type": "text", "text": PROSE[:3000]}, image, image]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()

    sample = sample_of(body)

    assert len(sample.text) < 20_000
    truth = token_count(PROSE[:3000]) + 2 * IMAGE_TOKENS
    assert estimated_input(sample) == pytest.approx(truth, rel=0.15)


def test_what_is_kept_of_a_request_is_small() -> None:
    small, large = body_of("Say hello."), body_of(PROSE * 200)
    assert sample_of(small).text is small
    assert len(sample_of(large).text) < 10_000


def stream_of(text: str, *, letters: int = 9, key: str = "content") -> bytes:
    """A chat stream with so many letters a chunk."""
    head = '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"qwen3-max",'
    pieces = [text[start : start + letters] for start in range(0, len(text), letters)]
    return "".join(
        f'data: {head}"choices":[{{"index":0,"delta":{{"{key}":{json.dumps(piece, ensure_ascii=False)}}},'
        f'"finish_reason":null}}],"usage":null}}\n\n'
        for piece in pieces
    ).encode()


@pytest.mark.parametrize("key", ["content", "reasoning_content", "arguments"])
@pytest.mark.parametrize("text", [PROSE[:300], PROSE[:6000], CODE[:6000], "它为什么这么慢。" * 200])
def test_a_stream_is_estimated_within_fifteen_per_cent(text: str, key: str) -> None:
    stream = stream_of(text, key=key)
    kept = stream[-32_768:]
    assert estimated_output(kept, len(stream)) == pytest.approx(token_count(text), rel=0.15)


def test_texts_with_quotation_marks_are_read_to_their_end() -> None:
    text = 'He said "no\\" and "yes" ' * 50
    stream = stream_of(text, letters=len(text))
    assert estimated_output(stream, len(stream)) == pytest.approx(token_count(text), rel=0.2)


@given(st.binary(max_size=300))
def test_nothing_that_comes_along_raises(data: bytes) -> None:
    assert estimated_input(sample_of(data)) >= 0
    assert estimated_output(data, len(data)) >= 0


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [None, 5, {"content": 5}, {"content": [None, {"text": 5}]}]},
        {"messages": [{"content": "x", "tool_calls": 5}, {"tool_calls": [5, {"function": None}]}]},
        {"messages": [], "tools": "none"},
        {"messages": [{"content": "\ud800"}]},
    ],
)
def test_odd_requests_do_not_raise(body: Any) -> None:
    assert estimated_input(sample_of(json.dumps(body).encode())) > 0
