"""What `make doctor` says of a gateway that really runs."""

import time

import httpx

from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker
from tools.endpoint_check import endpoint_checks


def test_the_doctor_finds_a_running_gateway_well(worker: Worker) -> None:
    now_ms = int(time.time() * 1000)

    checks = [*endpoint_checks(worker.base_url, CLIENT_KEY, expected=True, now_ms=now_ms, live=True)]

    assert {check.level for check in checks} <= {"ok", "note"}, checks
    said = " ".join(check.text for check in checks)
    for part in (
        "QWEN_KV is bound",
        "its clock agrees",
        "(CORS)",
        "as they are written; 4 keep-alives",
        "answers a chat, through QWEN_CLI_AUTH",
    ):
        assert part in said


def test_the_stream_that_the_doctor_looks_at_needs_a_key(worker: Worker) -> None:
    url = f"{worker.base_url}/health/stream"
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}

    assert httpx.get(url).status_code == 401
    head = httpx.head(url, headers=headers)
    assert (head.status_code, head.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
