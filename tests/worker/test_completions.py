"""Legacy completions through the real workerd: OpenAI's own clients, and an editor's autocompletion."""

import json
import time
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.legacy_endpoint import MODEL as NATIVE_MODEL
from tests.simulator.recording import Condition, disconnected, received
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartWorker
from tests.worker.harness.node_client import run_node
from tests.worker.harness.runtime import Worker

MODEL = "qwen3-coder-plus"
WORDS = ["return", " a", " + ", "bé", " 你好"]
TEXT = "".join(WORDS)

AUTOCOMPLETE = {
    "model": MODEL,
    "max_tokens": 4096,
    "temperature": 0.01,
    "stream": True,
    "stop": [
        "<|endoftext|>",
        "<|fim_prefix|>",
        "<|fim_middle|>",
        "<|fim_suffix|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
        "<|im_start|>",
        "<|im_end|>",
        "/src/",
        "#- coding: utf-8",
        "```",
    ],
    "prompt": "<|fim_prefix|># Path: add.py\ndef add(a, b):\n    "
    "<|fim_suffix|>\n\nprint(add(1, 2))\n<|fim_middle|>",
}
"""What Continue sends for `tabAutocompleteModel` with the provider openai (its OpenAI.ts and
AutocompleteTemplate.ts): its own template of marks, and more stop words than OpenAI takes.
"""


def simulate(key: str | None = None, **fault: Any) -> dict[str, Any]:
    return {"simulate": {**({"key": key} if key else {}), **fault}}


def test_completes(openai_client: OpenAI) -> None:
    completion = openai_client.completions.create(
        model=MODEL, prompt="def add(a, b):", extra_body=simulate(text=WORDS)
    )

    assert completion.object == "text_completion"
    assert completion.choices[0].text == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    assert completion.usage.completion_tokens == len(WORDS)


def test_streams(openai_client: OpenAI) -> None:
    chunks = list(
        openai_client.completions.create(
            model=MODEL,
            prompt="def add(a, b):",
            stream=True,
            stream_options={"include_usage": True},
            extra_body=simulate(text=WORDS, chunk_delay_ms=200),
        )
    )

    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TEXT
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert len(chunks) > 3, "the text comes as it is made"
    assert chunks[-1].usage
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_several_prompts(openai_client: OpenAI) -> None:
    completion = openai_client.completions.create(
        model=MODEL, prompt=["a", "b", "c"], echo=True, extra_body=simulate(text=["!"])
    )

    assert [(choice.index, choice.text) for choice in completion.choices] == [(0, "a!"), (1, "b!"), (2, "c!")]


def test_several_prompts_stream_one_after_the_other(openai_client: OpenAI, simulator: QwenSimulator) -> None:
    began = time.monotonic()
    stream = openai_client.completions.create(
        model=MODEL,
        prompt=["a", "b", "c", "d"],
        stream=True,
        extra_body=simulate("prompts-stream", text=WORDS, chunk_delay_ms=100),
    )
    first = next(stream)
    first_seconds = time.monotonic() - began
    assert len(simulator.find("prompts-stream")) < 4

    texts = ["", "", "", ""]
    for chunk in (first, *stream):
        [choice] = chunk.choices
        assert not any(texts[choice.index + 1 :])
        texts[choice.index] += choice.text
    assert texts == [TEXT] * 4
    assert first_seconds < (time.monotonic() - began) / 2
    assert len(simulator.find("prompts-stream")) == 4


def test_a_client_that_leaves_ends_the_calls_that_were_made_ahead(
    openai_client: OpenAI, simulator: QwenSimulator
) -> None:
    stream = openai_client.completions.create(
        model=MODEL,
        prompt=["a", "b"],
        stream=True,
        extra_body=simulate("prompts-left", text=["x"] * 500, chunk_delay_ms=20),
    )
    next(stream)
    for attempt in (1, 2):
        simulator.recorder.wait_for("prompts-left", that_is(attempt, received))
    stream.close()

    for attempt in (1, 2):
        simulator.recorder.wait_for("prompts-left", that_is(attempt, disconnected))


def that_is(attempt: int, condition: Condition) -> Condition:
    return lambda request: request.attempt == attempt and condition(request)


def test_tokens_are_refused(openai_client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.completions.create(model=MODEL, prompt=[1, 2, 3])

    assert refused.value.param == "prompt"


def test_an_error_in_the_middle_reaches_the_client(openai_client: OpenAI) -> None:
    stream = openai_client.completions.create(
        model=MODEL, prompt="x", stream=True, extra_body=simulate(name="death_mid_stream")
    )

    with pytest.raises(openai.APIError) as broken:
        list(stream)
    assert broken.value.code == "stream_failed"


@pytest.mark.parametrize("stream", [False, True])
def test_openai_node(worker: Worker, stream: bool) -> None:
    request = {"model": MODEL, "prompt": "x", "stream": stream, **simulate(text=WORDS)}
    parameters = {"baseURL": worker.openai_base_url, "apiKey": CLIENT_KEY, "request": request}
    reported = run_node("chat.mjs", {**parameters, "legacy": True})

    completions = reported["chunks"] if stream else [reported["completion"]]
    assert "".join(choice["text"] for part in completions for choice in part["choices"]) == TEXT
    assert completions[-1]["choices"][0]["finish_reason"] == "stop"


def autocompleted(worker: Worker, **fields: Any) -> str:
    """What Continue's editor shows: the texts of the first choices until the stream ends."""
    shown = ""
    with httpx.stream(
        "POST",
        f"{worker.openai_base_url}/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}", "api-key": CLIENT_KEY},
        json={**AUTOCOMPLETE, **fields},
        timeout=30,
    ) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            data = line.removeprefix("data:").strip()
            if not data or data == "[DONE]" or not line.startswith("data:"):
                continue
            value = json.loads(data)
            assert "error" not in value
            if value["choices"] and value["choices"][0].get("text"):
                shown += value["choices"][0]["text"]
    return shown


@pytest.mark.parametrize(
    "said",
    [
        ["return", " a + b"],
        ["```", "python\n", "return a", " + b\n", "```"],
        ["return a + b", "<|fim", "_suffix|>", "and more"],
        ["return a + b<|im_end|>"],
    ],
)
def test_autocompletion_of_continue(worker: Worker, simulator: QwenSimulator, said: list[str]) -> None:
    key = f"continue-{len(said)}-{len(said[0])}"

    assert autocompleted(worker, **simulate(key, text=said)) == "return a + b"

    [received] = simulator.find(key)
    assert received.path.endswith("/chat/completions")
    assert isinstance(received.body, dict)
    asked = json.dumps(received.body["messages"])
    assert "def add(a, b):\\n    </before>" in asked
    assert "<after>\\n\\nprint(add(1, 2))" in asked
    assert "fim_prefix" not in asked


def test_a_stop_word_stops_qwen(worker: Worker, simulator: QwenSimulator) -> None:
    said = ["a<|im_end|>", *["more "] * 500]
    assert autocompleted(worker, **simulate("completion-stops", text=said, chunk_delay_ms=20)) == "a"

    received = simulator.recorder.wait_for("completion-stops", disconnected)
    assert received.events_sent < 100


@pytest.mark.parametrize("stream", [False, True])
def test_a_host_that_has_completions_is_asked_for_them(
    start_worker: StartWorker, simulator: QwenSimulator, stream: bool
) -> None:
    account = {"api_key": DEFAULT_API_KEY, "base_url": f"{simulator.url}/beijing/v1", "completions": "native"}
    worker = start_worker({"QWEN_API_KEY": json.dumps(account)}, credentials=False)

    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        answer: Any = client.completions.create(
            model=NATIVE_MODEL, prompt="a(", suffix=")", stream=stream, extra_body=simulate(text=WORDS)
        )
        parts = list(answer) if stream else [answer]

    assert "".join(choice.text for part in parts for choice in part.choices) == TEXT
    received = simulator.recorder.requests("completions")[-1]
    assert isinstance(received.body, dict)
    assert received.body["prompt"] == "<|fim_prefix|>a(<|fim_suffix|>)<|fim_middle|>"
