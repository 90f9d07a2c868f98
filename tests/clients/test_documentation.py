"""The snippets of docs/clients.md that call the Worker, run as they stand there.

Those of the README are run by tests/worker/test_readme.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.node_clients import ANTHROPIC_PROJECT, NODE_PROJECT
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker
from tools.repository import ROOT

DOCUMENTED_URL = "http://127.0.0.1:8787"
COMMANDS = {
    "python": [sys.executable, "-"],
    "js": ["node", "--input-type=module", "-"],
    "sh": ["bash", "-euo", "pipefail", "-s"],
}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


class Snippet(NamedTuple):
    """A block of code, its language, and the heading it is under."""

    heading: str
    language: str
    code: str


def snippets(path: Path) -> list[Snippet]:
    """The blocks of a document that call the Worker, in the languages of COMMANDS."""
    text = path.read_text()
    found = []
    for block in _BLOCK.finditer(text):
        heading = _HEADING.findall(text[: block.start()])[-1]
        if block[1] in COMMANDS and DOCUMENTED_URL in block[2]:
            found.append(Snippet(heading, block[1], block[2]))
    return found


CLIENTS_SNIPPETS = snippets(ROOT / "docs" / "clients.md")


def test_there_are_snippets_to_test() -> None:
    assert len(CLIENTS_SNIPPETS) >= 14


@pytest.mark.parametrize("snippet", CLIENTS_SNIPPETS, ids=lambda snippet: snippet.heading)
def test_snippet_of_the_list_of_clients(worker: Worker, snippet: Snippet, tmp_path: Path) -> None:
    assert_answers(snippet, worker, tmp_path)


def assert_answers(snippet: Snippet, worker: Worker, directory: Path) -> None:
    """The snippet, pointed at this Worker and with its key, prints what Qwen answers."""
    code = snippet.code.replace(DOCUMENTED_URL, worker.base_url).replace("your-key", CLIENT_KEY)
    result = subprocess.run(
        COMMANDS[snippet.language],
        input=code,
        cwd=ANTHROPIC_PROJECT if "@anthropic-ai" in code else NODE_PROJECT,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(directory),
            "LLM_USER_PATH": str(directory),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    # The one word of its answer that a stream of JSON documents does not cut.
    assert "simulator" in result.stdout
