"""Runs scripts that use the real Node.js SDK and hands back what they report."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

NODE_PROJECT = Path(__file__).parent.parent / "node"


def run_node(
    script: str, parameters: Any, *, project: Path = NODE_PROJECT, timeout_seconds: float = 30.0
) -> Any:
    """Runs a script of a Node.js project with `parameters` and returns the value it reports.

    The script calls `report` of report.mjs. Raises RuntimeError with what Node.js printed if it fails.
    """
    result = subprocess.run(
        [shutil.which("node") or "node", str(project / script)],
        cwd=project,
        env={"PATH": os.environ.get("PATH", "")},
        input=json.dumps(parameters),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{result.stdout}{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])
