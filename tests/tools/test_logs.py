"""`make logs` with events in the shape in which wrangler 4 prints them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tools.checkout import LOGGED_IN, LOGGED_OUT, Checkout
from tools.log_lines import LogFormat, documents

URL = "https://qwen-worker.example.workers.dev/v1/chat/completions?debug=1"


def line(event: str, request_id: str | None = "req_1", level: str = "info", **fields: Any) -> dict[str, Any]:
    """A line of our own log, as the console method of its level leaves it."""
    ours = {"level": level, "event": event, **({"request_id": request_id} if request_id else {}), **fields}
    consoles = {"info": "log", "warning": "warn"}
    return {
        "message": [json.dumps(ours)],
        "level": consoles.get(level, level),
        "timestamp": 1_795_000_000_000,
    }


def event(*logs: dict[str, Any], outcome: str = "ok", **changes: Any) -> dict[str, Any]:
    return {
        "wallTime": 1200,
        "cpuTime": 3,
        "truncated": False,
        "executionModel": "stateless",
        "outcome": outcome,
        "scriptName": "qwen-worker",
        "diagnosticsChannelEvents": [],
        "exceptions": [],
        "logs": list(logs),
        "eventTimestamp": 1_795_000_000_000,
        "event": {
            "request": {"url": URL, "method": "POST", "headers": {"cf-ray": "8f0-FRA"}, "cf": {}},
            "response": {"status": 200},
        },
        **changes,
    }


CHAT = event(
    line("authentication passed", required=True, level="debug"),
    line("upstream response", status=200, upstream_request_id="q-1"),
    line("completion ended", outcome="completed", duration_ms=812),
)
FAILED = event(
    line("request failed", "req_2", level="warning", status=502, code="client_not_allowed", client=None),
    event={"request": {"url": URL, "method": "POST", "headers": {}}, "response": {"status": 502}},
)
CRON = event(
    line("token refreshed", None, label="work"),
    event={"cron": "*/15 * * * *", "scheduledTime": 1_795_000_000_000},
)
BROKEN = event(
    outcome="exceededCpu",
    exceptions=[{"name": "Error", "message": "Worker exceeded CPU time limit.", "timestamp": 1}],
)


def test_the_lines_of_a_request_are_together_under_what_it_was() -> None:
    shown = LogFormat().shown(CHAT)

    assert shown is not None
    title, *lines = shown.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  POST /v1/chat/completions  200  ok  req_1", title)
    assert lines == [
        "    debug    authentication passed  required=true",
        "    info     upstream response  status=200  upstream_request_id=q-1",
        "    info     completion ended  outcome=completed  duration_ms=812",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (FAILED, "    warning  request failed  status=502  code=client_not_allowed  client=null"),
        (CRON, "cron */15 * * * *  ok"),
        (CRON, "    info     token refreshed  label=work"),
        (BROKEN, "exceededCpu: more CPU time than the plan allows"),
        (BROKEN, "    error    Error: Worker exceeded CPU time limit."),
        (event({"level": "warn", "message": ["Traceback", {"a": 1}]}), '    warning  Traceback {"a": 1}'),
        (event({"level": "log", "message": ["{not json"]}), "    info     {not json"),
        (event(outcome="canceled"), "canceled: the client has left"),
        ({"event": {"type": "overload"}, "logs": None}, "an event"),
    ],
)
def test_every_kind_of_event_is_readable(given: dict[str, Any], said: str) -> None:
    assert said in (LogFormat().shown(given) or "")


def test_colours_are_only_there_when_wanted_and_hide_nothing() -> None:
    coloured = LogFormat(colours=True).shown(FAILED) or ""

    assert "\x1b[33mwarning\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == LogFormat().shown(FAILED)


def test_a_log_cannot_steer_the_terminal() -> None:
    shown = LogFormat().shown(event(line("odd", client="\x1b]0;title\x07"))) or ""

    assert "\x1b" not in shown
    assert "\\x1b]0;title\\x07" in shown


@pytest.mark.parametrize(("request_id", "found"), [("req_1", 1), ("8f0-FRA", 2), ("req_9", 0)])
def test_one_request_is_found_by_its_id(request_id: str, found: int) -> None:
    log_format = LogFormat(request_id=request_id)

    assert sum(log_format.shown(each) is not None for each in (CHAT, FAILED, CRON, BROKEN)) == found


@pytest.mark.parametrize("indent", [None, 2])
def test_events_are_found_however_they_are_printed(indent: int | None) -> None:
    text = "\n".join(["⛅️ wrangler", *(json.dumps(each, indent=indent) for each in (CHAT, CRON)), "{broken}"])

    assert [*documents(text.splitlines(keepends=True))] == [CHAT, CRON]


def test_make_logs_tails_the_deployed_worker(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    tailed = "\n".join(json.dumps(each, indent=2) for each in (CHAT, FAILED))
    checkout.answers({**LOGGED_IN, "wrangler tail --format=json": (0, tailed)})

    result = checkout.make("logs", "ID=req_2")

    assert result.returncode == 0, result.stdout
    assert checkout.calls("wrangler")[-1].arguments == ["tail", "--format=json"]
    assert "request failed" in result.stdout
    assert "completion ended" not in result.stdout
    assert "\x1b" not in result.stdout


def test_without_a_login_at_cloudflare_make_logs_says_so(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.answers(LOGGED_OUT)

    result = checkout.run("tools.logs")

    assert result.returncode == 1
    assert "npx wrangler login" in result.stdout
