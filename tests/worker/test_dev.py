"""`make dev` as a newcomer meets it: no account, two snippets to paste, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.worker.harness.runtime import embedded_only
from tests.worker.harness.served_worker import MAKE_DEV
from tools.network import free_port, wait_for_answer
from tools.processes import living_members
from tools.repository import ROOT

pytestmark = embedded_only("make dev is for the embedded runtime")


@contextmanager
def make_dev(dev_vars: Path, port: int, state: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE_DEV, str(dev_vars)],
        cwd=ROOT,
        env={**os.environ, "PORT": str(port), "STATE": str(state), "HOST": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def read_until(process: "subprocess.Popen[str]", pattern: str) -> str:
    """What is printed up to and with the line that matches."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if re.search(pattern, line):
            return text
    raise AssertionError(f"no line matched {pattern!r}:\n{text}")


def children_groups(pid: int) -> list[int]:
    """The process groups that make dev's own children lead."""
    return [child.pid for child in psutil.Process(pid).children()]


def workers_workerd(pid: int) -> psutil.Process:
    """The workerd that runs the Worker; only it has an inspector. The other one is wrangler's proxy."""
    (found,) = (
        process
        for process in psutil.Process(pid).children(recursive=True)
        if process.name() == "workerd" and any("--inspector-addr" in word for word in process.cmdline())
    )
    return found


def snippet(printed: str, start: str, end: str) -> str:
    """The part of the instructions from `start` to `end`, as it would be pasted."""
    found = re.search(rf"^{re.escape(start)}.*?{end}", printed, re.MULTILINE | re.DOTALL)
    assert found, printed
    return found[0]


def paste(command: str) -> str:
    """What a command prints when it is pasted into a shell in the repository's folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_answers_without_an_account_and_ends_without_a_trace(tmp_path: Path) -> None:
    port = free_port()
    with make_dev(tmp_path / "none", port, tmp_path / "state") as process:
        printed = read_until(process, r"^EOF$")

        assert "simulated Qwen on http://127.0.0.1:" in printed
        assert f"Ready on http://127.0.0.1:{port} " in printed
        assert "wrangler" not in printed
        curl = paste(snippet(printed, "curl ", r"'$"))
        assert curl.count("data: {") > 2
        assert curl.endswith("data: [DONE]\n\n")
        assert "Qwen simulator" in paste(snippet(printed, ".venv/bin/python", r"^EOF$"))
        assert (tmp_path / "state" / "v3" / "kv").is_dir()

        groups = children_groups(process.pid)
        assert len(groups) == 2
        assert all(len(living_members(group)) >= 1 for group in groups)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=10)

    assert process.returncode == 0, rest
    assert time.monotonic() - started < 5
    assert [living_members(group) for group in groups] == [[], []]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health")


def test_it_uses_dev_vars_and_never_shows_them(tmp_path: Path) -> None:
    dev_vars = tmp_path / ".dev.vars"
    dev_vars.write_text("QWEN_API_KEY=test-api-key\nOPENAI_API_KEY='test-client-key'\n")
    port = free_port()
    with make_dev(dev_vars, port, tmp_path / "state") as process:
        printed = read_until(process, r"^EOF$")

        models = f"http://127.0.0.1:{port}/v1/models"
        assert httpx.get(models).status_code == 401
        assert httpx.get(models, headers={"Authorization": "Bearer test-client-key"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        printed += process.communicate(timeout=10)[0]

    assert process.returncode == 0
    assert "simulated" not in printed
    assert "Authorization: Bearer $OPENAI_API_KEY" in printed
    assert "test-api-key" not in printed
    assert "test-client-key" not in printed


def test_a_workerd_that_dies_is_started_again(tmp_path: Path) -> None:
    """It dies of an answer that is not compressed as it says, from a host that was asked for none that is."""
    port = free_port()
    corrupt = {"headers": {"Content-Encoding": "gzip"}}
    question = {"messages": [{"role": "user", "content": "hi"}], "simulate": corrupt}
    with make_dev(tmp_path / "none", port, tmp_path / "state") as process:
        read_until(process, r"^EOF$")
        first = workers_workerd(process.pid)

        answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=question, timeout=30)
        assert answer.status_code >= 500
        printed = read_until(process, "^dev: ")

        assert "dev: workerd died; starting it again\n" in printed
        health = wait_for_answer(
            f"http://127.0.0.1:{port}/health",
            timeout_seconds=30,
            still_running=lambda: process.poll() is None,
        )
        assert health.status == 200
        assert workers_workerd(process.pid).pid != first.pid
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=10)

    assert process.returncode == 0
    assert re.findall("^dev: .*", rest, re.MULTILINE) == ["dev: stopped"]


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with make_dev(tmp_path / "none", port, tmp_path / "state") as process:
            printed, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in printed
