"""Streams that are rewritten on demand (STREAM_REWRITE=always), through the real workerd."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIError, OpenAI

from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, oauth_variables
from tests.worker.harness.direct_worker import DirectWorker
from tests.worker.harness.runtime import Runtime, selected_runtime
from tests.worker.test_streams import ODD_FRAMINGS, ask, in_stream_error, raw, text_of

pytestmark = pytest.mark.skipif(
    selected_runtime() is not Runtime.EMBEDDED, reason="needs a Worker that nothing stands before"
)


@pytest.fixture(scope="module")
def rewriting_worker(simulator: QwenSimulator) -> Iterator[DirectWorker]:
    worker = DirectWorker({**oauth_variables(simulator), "STREAM_REWRITE": "always"})
    yield worker
    worker.stop()


@pytest.fixture
def client(rewriting_worker: DirectWorker) -> Iterator[OpenAI]:
    with OpenAI(base_url=rewriting_worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


SENTENCE = ["The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", "."]


def test_cumulative_deltas_become_increments(client: OpenAI) -> None:
    chunks = list(ask(client, {"text": SENTENCE, "cumulative": True}))

    assert text_of(chunks) == "".join(SENTENCE)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_repeated_text_is_never_altered(client: OpenAI) -> None:
    assert text_of(list(ask(client, {"text": ["ha", "ha", "ha"]}))) == "hahaha"


@pytest.mark.parametrize("framing", ODD_FRAMINGS, ids=str)
def test_every_framing_becomes_plain(rewriting_worker: DirectWorker, framing: dict[str, Any]) -> None:
    response = raw(rewriting_worker, {"text": SENTENCE, **framing})

    lines = response.text.split("\n")
    assert all(line == "" or line.startswith("data: {") for line in lines[:-3])
    assert lines[-3:] == ["data: [DONE]", "", ""]
    assert "quick" in response.text


def test_usage_that_nobody_asked_for_is_left_out(rewriting_worker: DirectWorker) -> None:
    assert '"choices":[]' not in raw(rewriting_worker, {"always_usage": True}).text


@pytest.mark.parametrize(
    ("simulate", "code"),
    [
        ("death_mid_stream", "stream_failed"),
        ("end_without_finish", "stream_truncated"),
        ({"no_finish_reason": True}, "stream_truncated"),
        ({"error_event_after": 3, "done_after_error": True}, "stream_failed"),
        ({"error_finish_after": 3, "done_after_error": True}, "stream_failed"),
        ({"error_data_after": 3, "done_after_error": True}, "stream_failed"),
    ],
)
def test_half_an_answer_raises(
    client: OpenAI, rewriting_worker: DirectWorker, simulate: Any, code: str
) -> None:
    assert in_stream_error(raw(rewriting_worker, simulate))["code"] == code

    with pytest.raises(APIError) as raised:
        list(ask(client, simulate))
    assert raised.value.code == code
