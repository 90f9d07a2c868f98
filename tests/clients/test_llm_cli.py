"""`llm`, the command line tool: the Worker as one of its models in extra-openai-models.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.questions import MODEL
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

MODELS = """\
- model_id: qwen
  model_name: {model}
  api_base: {base_url}
  api_key_name: qwen
  supports_tools: true
  supports_schema: true
"""

TOOL = '''\
def multiply(x: int, y: int) -> int:
    """Multiplies two numbers."""
    return x * y
'''


@pytest.fixture
def directory(tmp_path: Path, worker: Worker) -> Path:
    """A folder for llm's own files, in which the Worker is the model `qwen`."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        MODELS.format(model=MODEL, base_url=worker.openai_base_url)
    )
    run_llm(tmp_path, "keys", "set", "qwen", "--value", CLIENT_KEY)
    return tmp_path


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["stream", "no stream"])
def test_answers(directory: Path, options: list[str]) -> None:
    answer = run_llm(directory, "-m", "qwen", *options, "Say hello.")

    assert f"Hello from the Qwen simulator, here in the part of {MODEL}." in answer
    assert "“Say hello.”" in answer


def test_continues_a_conversation(directory: Path) -> None:
    run_llm(directory, "-m", "qwen", "Say hello.")

    # The fourth is the system message that Qwen's portal demands.
    assert "4 messages so far" in run_llm(directory, "-m", "qwen", "--continue", "And again.")


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["stream", "no stream"])
def test_runs_a_tool(directory: Path, options: list[str]) -> None:
    answer = run_llm(
        directory, "-m", "qwen", "--functions", TOOL, *options, "Call multiply with what you like."
    )

    assert "The tool answered" in answer


def test_answers_in_a_schema(directory: Path) -> None:
    answer = run_llm(directory, "-m", "qwen", "--schema", "name, age int", "Invent somebody.")

    assert set(json.loads(answer)) == {"name", "age"}


def test_tells_a_wrong_key(directory: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_llm(directory, "-m", "qwen", "--key", "another-key", "Say hello.")

    assert "Incorrect API key" in failed.value.stderr


def run_llm(directory: Path, *arguments: str) -> str:
    """What the command prints. Raises CalledProcessError if it fails."""
    return subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        env={"PATH": os.environ["PATH"], "LLM_USER_PATH": str(directory), "HOME": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
