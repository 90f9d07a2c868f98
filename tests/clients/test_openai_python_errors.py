"""openai-python: what its users are told when something goes wrong, and when the SDK itself tries again."""

import time
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.clients.questions import ATTEMPTS, DELTAS, MODEL, QUESTION, TEXT, simulate
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker


def test_wrong_key(worker: Worker) -> None:
    with (
        OpenAI(base_url=worker.openai_base_url, api_key="another-key") as client,
        pytest.raises(openai.AuthenticationError) as raised,
    ):
        client.chat.completions.create(model=MODEL, messages=QUESTION)

    assert raised.value.code == "invalid_api_key"
    assert raised.value.request_id


def test_unknown_model_of_the_catalogue(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no/such-model")

    assert raised.value.code == "model_not_found"


def test_unknown_model_of_qwen(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(
            model="no-such-model", messages=QUESTION, extra_body=simulate(name="model_not_found")
        )

    assert raised.value.code == "model_not_found"


def test_invalid_parameter(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=3)

    assert raised.value.param == "temperature"
    assert raised.value.type == "invalid_request_error"


def test_too_long_a_context(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, extra_body=simulate(name="context_length")
        )

    assert raised.value.code == "context_length_exceeded"
    assert "maximum context length" in raised.value.message


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda client: client.moderations.create(input="text"), id="moderations"),
        pytest.param(lambda client: client.images.generate(prompt="a cat"), id="images"),
        pytest.param(lambda client: client.files.list(), id="files"),
    ],
)
def test_api_that_the_gateway_does_not_offer(client: OpenAI, call: Any) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        call(client)

    assert raised.value.code == "not_found"
    assert raised.value.message


def test_exhausted_quota_is_told_at_once(worker: Worker, simulator: QwenSimulator) -> None:
    with (
        OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY) as client,
        pytest.raises(openai.RateLimitError) as raised,
    ):
        client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            extra_body=simulate("python-quota", name="insufficient_quota_daily"),
        )

    assert raised.value.code == "insufficient_quota"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(simulator.find("python-quota")) == 1


def test_sdk_waits_for_a_rate_limit(worker: Worker, simulator: QwenSimulator) -> None:
    with OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY) as client:
        started = time.monotonic()
        completion = client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            extra_body=simulate(
                "python-rate-limit", name="rate_limit_retry_after", fail_first=ATTEMPTS, then={"text": DELTAS}
            ),
        )

    assert completion.choices[0].message.content == TEXT
    assert time.monotonic() - started >= 1.0
    assert [received.status for received in simulator.find("python-rate-limit")] == [429] * ATTEMPTS + [200]


async def test_sdk_repeats_a_stream_that_failed_to_start(worker: Worker, simulator: QwenSimulator) -> None:
    async with AsyncOpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY) as client:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            stream=True,
            extra_body=simulate(
                "python-unavailable", name="service_unavailable", fail_first=ATTEMPTS, then={"text": DELTAS}
            ),
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == TEXT
    assert [received.status for received in simulator.find("python-unavailable")] == [503] * ATTEMPTS + [200]


@pytest.mark.parametrize(
    ("fault", "expected", "status"),
    [
        ("rate_limit_exceeded", openai.RateLimitError, 429),
        ("internal_error", openai.InternalServerError, 502),
        ("html_502", openai.InternalServerError, 502),
        ("captcha_200", openai.InternalServerError, 502),
        ("data_inspection_failed", openai.BadRequestError, 400),
        ("arrearage", openai.APIStatusError, None),
    ],
)
def test_error_classes(
    worker: Worker, fault: str, expected: type[openai.APIStatusError], status: int | None
) -> None:
    with (
        OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client,
        pytest.raises(expected) as raised,
    ):
        client.chat.completions.create(model=MODEL, messages=QUESTION, extra_body=simulate(name=fault))

    assert raised.value.status_code == status or status is None
    assert raised.value.status_code not in (401, 403)
    assert raised.value.code


@pytest.mark.parametrize("fault", ["error_event_first", "error_data_first", "error_finish_first"])
def test_error_at_the_start_of_a_stream(worker: Worker, fault: str) -> None:
    with (
        OpenAI(base_url=worker.openai_base_url, api_key=CLIENT_KEY, max_retries=0) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, stream=True, extra_body=simulate(name=fault)
        )


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"name": "death_mid_stream"}, id="death"),
        pytest.param({"name": "end_without_finish"}, id="end without finish_reason"),
        pytest.param({"error_data_after": 3}, id="error data"),
    ],
)
def test_error_in_the_middle_of_a_stream(client: OpenAI, fault: dict[str, Any]) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, extra_body=simulate(None, **fault)
    )

    texts = (choice.delta.content for chunk in stream for choice in chunk.choices)
    assert next(text for text in texts if text)
    with pytest.raises(openai.APIError) as raised:
        list(texts)

    assert raised.value.message
