"""Runs the scripts of the Node projects in this folder, each of which uses one client."""

from pathlib import Path
from typing import Any

from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.node_client import run_node
from tests.worker.harness.runtime import Worker

NODE_PROJECT = Path(__file__).parent / "node"
ANTHROPIC_PROJECT = Path(__file__).parent / "node_anthropic"


def run_client(
    script: str,
    operation: str,
    worker: Worker,
    *,
    api_key: str = CLIENT_KEY,
    project: Path = NODE_PROJECT,
    **parameters: Any,
) -> Any:
    """Runs an operation of a project's script against a Worker and returns what it reports."""
    return run_node(
        script,
        {"operation": operation, "baseURL": worker.openai_base_url, "apiKey": api_key, **parameters},
        project=project,
    )
