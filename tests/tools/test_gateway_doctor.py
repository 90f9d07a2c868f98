"""`make doctor URL=...` for a deployed gateway: what it tells, and what a proxy in front may spoil."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.public_hosts import lead_to
from tests.tools.conftest import CLIENT_KEY, HEALTHY, MODELS, Examination, Machine, StartGateway
from tools.worker_config import expected_python, production_config

URL = "https://qwen-worker.example.workers.dev"
PYTHON = expected_python(production_config()["compatibility_date"])

Examine = Callable[..., Examination]


def runtime(**changes: Any) -> dict[str, Any]:
    return {"python": PYTHON, "now_ms": int(time.time() * 1000), "last_cron_seconds_ago": 60, **changes}


def paced(handler: Any) -> None:
    """Writes as the gateway does, in less time."""
    begin(handler, b": keep-alives for 120 ms\n\n")
    for _ in range(4):
        time.sleep(0.03)
        handler.wfile.write(b": keep-alive\n\n")
    handler.wfile.write(b"data: [DONE]\n\n")


def held_back(handler: Any) -> None:
    begin(handler, b": keep-alives for 120 ms\n\n" + b": keep-alive\n\n" * 4 + b"data: [DONE]\n\n")


def cut_off(handler: Any) -> None:
    begin(handler, b": keep-alives for 120 ms\n\n")


def begin(handler: Any, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.end_headers()
    handler.wfile.write(data)


@pytest.fixture
def examine(machine: Machine, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Examines a deployed gateway with these changes; `stream` writes /health/stream."""

    def examined(
        stream: Callable[[Any], None] = paced,
        answers: dict[str, tuple[int, Any]] | None = None,
        key: str = CLIENT_KEY,
        **changes: Any,
    ) -> Examination:
        health = {**HEALTHY, "usage": "kept", "runtime": runtime(), **changes}
        local = start_gateway(
            {
                "/health": (200, health),
                "/health/stream": (200, stream),
                "/v1/models": (200, MODELS),
                **(answers or {}),
            }
        )
        lead_to(urlsplit(local).port or 0, monkeypatch)
        return machine.examine(URL, OPENAI_API_KEY=key)

    return examined


def test_a_deployed_gateway_that_is_well(examine: Examine) -> None:
    examination = examine()

    assert examination.exit_code == 0, examination.text
    assert examination.of_level("warning") == []
    for said in (
        "usage: kept",
        "QWEN_KV is bound",
        f"Python {PYTHON}, that of compatibility_date",
        "the cron trigger runs (noted 1 min ago)",
        "its clock agrees",
        "may call it (CORS)",
        "streams come as they are written; 4 keep-alives seen",
    ):
        assert any(said in text for text in examination.of_level("ok")), said
    assert "doctor: all is well\n" in examination.text


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"usage": "not kept: no binding USAGE_DB"}, "note", "no binding USAGE_DB"),
        ({"reasons": ["QWEN_KV: no such binding"]}, "error", "QWEN_KV: no such binding"),
        ({"runtime": runtime(python="3.12")}, "warning", "it runs on Python 3.12"),
        ({"runtime": runtime(last_cron_seconds_ago=None)}, "warning", "has not run yet"),
        ({"runtime": runtime(last_cron_seconds_ago=7_200)}, "warning", "the cron trigger ran 2 h 0 min ago"),
        ({"runtime": runtime(last_cron_seconds_ago=3_590)}, "ok", "the cron trigger runs"),
        ({"runtime": runtime(now_ms=int(time.time() * 1000) + 600_000)}, "warning", "its clock differs"),
    ],
)
def test_what_a_deployed_gateway_lacks_is_told(
    changes: dict[str, Any], level: str, said: str, examine: Examine
) -> None:
    examination = examine(**changes)

    assert any(said in text for text in examination.of_level(level)), examination.text


def test_whose_clock_is_wrong_is_told(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    real_ms = int(time.time() * 1000)
    monkeypatch.setattr("tools.doctor.time", SimpleNamespace(time=lambda: real_ms / 1000 - 900))

    examination = examine(runtime=runtime(now_ms=real_ms))

    assert any("this machine's clock is wrong" in text for text in examination.of_level("warning"))


def test_the_last_refresh_of_a_login_is_told(examine: Examine) -> None:
    refresh = {"result": "ok", "at": "2026-11-27T00:00:00Z", "seconds_ago": 3_700}
    credentials = {"kind": "oauth", "state": "ready", "last_refresh": refresh}

    examination = examine(accounts=[{"label": "work", "state": "ready", "credentials": credentials}])

    assert "work: ready, last refresh 1 h 1 min ago (ok)" in examination.text


@pytest.mark.parametrize(
    ("stream", "level", "said"),
    [
        (held_back, "warning", "streams are held back: what was written over 120 ms came at once"),
        (cut_off, "error", "a stream ends too early"),
        (lambda handler: handler.send_error(404), "error", "/health/stream answers 404"),
    ],
)
def test_what_becomes_of_streams_is_told(
    stream: Callable[[Any], None], level: str, said: str, examine: Examine
) -> None:
    examination = examine(stream)

    assert any(said in text for text in examination.of_level(level)), examination.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("error code: 1101", "Error 1101"),
        ("<html><title>Error 1101: Worker threw exception</title></html>", "Error 1101"),
        ("error code: 1102", "more CPU time than the plan allows"),
        ("error code: 1027", "the day's free requests are used up"),
    ],
)
def test_what_cloudflare_answers_in_its_place_is_explained(body: str, said: str, examine: Examine) -> None:
    examination = examine(answers={"/health": (500, body)})

    assert examination.exit_code == 1
    assert said in examination.text


def test_a_preflight_that_something_else_answers_is_told(
    machine: Machine, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = start_gateway({"/health": (200, HEALTHY), "/v1/models": (200, MODELS)}, preflight_status=403)
    lead_to(urlsplit(local).port or 0, monkeypatch)

    examination = machine.examine(URL, OPENAI_API_KEY=CLIENT_KEY)

    assert any("preflight is answered with 403" in text for text in examination.of_level("error"))


@pytest.mark.parametrize(
    ("status", "body", "level", "said"),
    [
        (200, {"model": "qwen3-max", "choices": [{}]}, "ok", "it answers a chat, through its account, with"),
        (
            503,
            {"error": {"code": "credentials_rejected", "message": "Qwen refuses the key."}},
            "error",
            "a chat fails with 503 credentials_rejected: Qwen refuses the key.",
        ),
        (502, "<html>", "error", "a chat fails with 502"),
    ],
)
def test_live_asks_the_gateway_for_a_chat(
    status: int, body: Any, level: str, said: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE", "1")

    examination = examine(answers={"/v1/chat/completions": (status, body)})

    assert any(said in text for text in examination.of_level(level)), examination.text


def test_without_live_no_chat_is_asked_for(examine: Examine) -> None:
    assert "chat," not in examine().text
