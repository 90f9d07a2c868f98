"""What `make doctor URL=...` asks for, on the Pythons of production."""

import time

import httpx

from tests.production.conftest import CLIENT_KEY
from tests.production.pyodide_worker import PyodideRuntime, PyodideWorker
from tools.endpoint_check import endpoint_checks


def test_the_doctor_finds_the_worker_well(running_worker: PyodideWorker) -> None:
    now_ms = int(time.time() * 1000)

    checks = [*endpoint_checks(running_worker.base_url, CLIENT_KEY, expected=True, now_ms=now_ms, live=True)]

    assert {check.level for check in checks} <= {"ok", "note"}, checks
    said = " ".join(check.text for check in checks)
    assert "streams come as they are written; 4 keep-alives" in said
    assert "it answers a chat" in said


def test_the_cron_trigger_and_python_are_told(running_worker: PyodideWorker, runtime: PyodideRuntime) -> None:
    running_worker.scheduled()

    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    told = httpx.get(f"{running_worker.base_url}/health", headers=headers, timeout=30).json()["runtime"]

    assert told["last_cron_seconds_ago"] in range(60)
    assert runtime.python.startswith(told["python"])
