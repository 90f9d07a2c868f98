"""The README's snippets, run as they are printed with another address, and what they say of the log."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.tools.checkout import Checkout
from tests.worker.conftest import CLIENT_KEY, StartWorker
from tests.worker.harness.runtime import Worker
from tools.repository import ROOT

README = (ROOT / "README.md").read_text()
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
LOCAL_ADDRESS = "http://127.0.0.1:8787"
DEPLOYED_ADDRESS = "https://qwen-worker.your-subdomain.workers.dev"
SIMULATORS_WORDS = "Qwen simulator"
PATH = [str(Path(sys.executable).parent), os.environ["PATH"]]
PYTHON = [sys.executable, "-"]
SHELL = ["bash", "-eu"]


def blocks(language: str, text_in_it: str) -> list[str]:
    """The README's code blocks in a language that have a text in them."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [block for block in found if text_in_it in block]


PYTHON_SNIPPETS = blocks("python", LOCAL_ADDRESS)
CURL_SNIPPETS = blocks("sh", f"curl {LOCAL_ADDRESS}")
DOCTOR_SNIPPETS = blocks("sh", f"make doctor URL={DEPLOYED_ADDRESS}")


def run(command: list[str], snippet: str, directory: Path, *first_on_path: str) -> str:
    """What a snippet prints that is given to a program's standard input."""
    result = subprocess.run(
        command,
        input=snippet,
        cwd=directory,
        env={"PATH": os.pathsep.join([*first_on_path, *PATH]), "HOME": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=40,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_the_readme_has_the_snippets() -> None:
    assert blocks("python", "") == PYTHON_SNIPPETS != []
    assert CURL_SNIPPETS != []
    assert DOCTOR_SNIPPETS != []


def test_snippets_work_without_client_keys(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker({"OPENAI_API_KEY": None})

    for snippet in PYTHON_SNIPPETS:
        text = run(PYTHON, snippet.replace(LOCAL_ADDRESS, worker.base_url), tmp_path)
        assert SIMULATORS_WORDS in text
    for snippet in CURL_SNIPPETS:
        text = run(SHELL, snippet.replace(LOCAL_ADDRESS, worker.base_url), tmp_path)
        assert SIMULATORS_WORDS in text


@pytest.mark.parametrize(
    ("command", "snippet"),
    [*((PYTHON, text) for text in PYTHON_SNIPPETS), *((SHELL, text) for text in CURL_SNIPPETS)],
)
def test_snippets_work_with_a_client_key(
    command: list[str], snippet: str, worker: Worker, tmp_path: Path
) -> None:
    snippet = snippet.replace(LOCAL_ADDRESS, worker.base_url).replace("your-key", CLIENT_KEY)

    assert SIMULATORS_WORDS in run(command, snippet, tmp_path)


def test_a_good_request_reads_in_the_log_as_the_documents_say(start_worker: StartWorker) -> None:
    told = re.search(r"A good request reads\n(.*?);(.*?)\n\n", TROUBLESHOOTING, re.DOTALL)
    assert told
    story, beginning = (re.findall(r"`([^`]+)`", part) for part in told.groups())
    worker = start_worker()

    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}", "x-request-id": "the-story"},
        json={"model": "qwen3-coder-plus", "messages": [{"role": "user", "content": "Say hello."}]},
        timeout=30,
    )

    assert response.status_code == 200
    worker.log.wait_for("completion ended", request_id="the-story")
    logged = [event["event"] for event in worker.events(request_id="the-story")]
    assert [event for event in logged if event not in beginning] == story
    assert [event["event"] for event in worker.events()][: len(beginning)] == beginning


def test_the_doctor_finds_a_running_gateway_well(worker: Worker, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (snippet,) = DOCTOR_SNIPPETS
    snippet = snippet.replace(DEPLOYED_ADDRESS, worker.base_url).replace("your-key", CLIENT_KEY)

    printed = run(SHELL, snippet, checkout.root, str(checkout.path))

    assert "doctor: all is well" in printed
    assert f"{worker.base_url} answers: qwen-worker-" in printed
    assert "models listed at /v1/models: " in printed
    assert CLIENT_KEY not in printed
