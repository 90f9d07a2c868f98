"""KV, work after the response, and the cron event, on the Pythons of production."""

import json

import pytest
from openai import OpenAI

from tests.production.conftest import Renew
from tests.production.pyodide_worker import PyodideWorker
from tests.simulator import QwenSimulator

MODEL = "qwen3-coder-plus"
SOON_SECONDS = 600
"""Well within the lead of a refresh, and long enough for the test."""


def ask(client: OpenAI, key: str) -> None:
    client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], extra_body={"simulate": {"key": key}}
    )


def test_an_expired_login_is_refreshed_and_stored(
    worker: PyodideWorker, client: OpenAI, renew: Renew, simulator: QwenSimulator
) -> None:
    login = renew(access_token_seconds=-60)

    ask(client, login.name)

    assert worker.background()
    assert login.refreshes == 1
    assert [request.bearer for request in simulator.find(login.name)] == [login.access_token]
    assert any(login.access_token in value for value in worker.kv_values().values())


def test_no_response_waits_for_the_refresh_of_a_login_about_to_expire(
    worker: PyodideWorker, client: OpenAI, renew: Renew, simulator: QwenSimulator
) -> None:
    login = renew(access_token_seconds=SOON_SECONDS)
    old = login.access_token

    with login.refresh_held():
        ask(client, login.name)  # the isolate does not know the login yet
        ask(client, login.name)  # it has the token in memory

    assert set(worker.background()) == {"done"}
    assert [request.bearer for request in simulator.find(login.name)] == [old, old]
    asked = simulator.recorder.requests("token", login.name)
    assert len(asked) == login.refreshes == 1, "a refresh has been given up"
    assert any(login.access_token in value for value in worker.kv_values().values())


def test_the_cron_event_refreshes_a_login_about_to_expire(worker: PyodideWorker, renew: Renew) -> None:
    login = renew(access_token_seconds=SOON_SECONDS)

    worker.scheduled()
    worker.background()

    assert login.refreshes == 1
    assert any(login.access_token in value for value in worker.kv_values().values())


def test_a_failing_kv_costs_no_answer(
    worker: PyodideWorker, client: OpenAI, renew: Renew, simulator: QwenSimulator
) -> None:
    login = renew(access_token_seconds=-60)
    worker.fail_kv("KV PUT failed: 429 Too Many Requests")
    try:
        ask(client, login.name)
    finally:
        worker.fail_kv(None)

    assert [request.bearer for request in simulator.find(login.name)] == [login.access_token]


@pytest.mark.parametrize("value", [None, {"an": "object"}], ids=["null", "object"])
def test_a_variable_that_is_no_text(worker: PyodideWorker, client: OpenAI, value: object) -> None:
    """Variables may be any JSON in wrangler.toml; JavaScript's null is not Python's None."""
    worker.deploy({"OPENAI_BASE_URL": value, "QWEN_MODELS": value})
    try:
        health = worker.health()
        listed = [model.id for model in client.models.list()] if value is None else []
    finally:
        worker.deploy({"OPENAI_BASE_URL": None, "QWEN_MODELS": None})

    assert health["version"]
    if value is None:
        assert MODEL in listed
    else:
        assert "OPENAI_BASE_URL" in json.dumps(health)


def test_a_login_that_comes_with_a_new_deployment_is_used_at_once(
    client: OpenAI, renew: Renew, simulator: QwenSimulator
) -> None:
    login = renew(access_token_seconds=3600)

    ask(client, login.name)

    assert [request.credential for request in simulator.find(login.name)] == [login.name]
