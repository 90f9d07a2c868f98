"""How to start the embedded runtime's `wrangler dev`, quietly and without calls home."""

import contextlib
import os
import shutil
from pathlib import Path

import psutil

from tools.processes import living_members
from tools.repository import EMBEDDED_RUNTIME

_WRANGLER = EMBEDDED_RUNTIME / "node_modules" / "wrangler" / "bin" / "wrangler.js"


def dev_command(config: Path, *, host: str, port: int, state: Path) -> list[str]:
    """The command line of `wrangler dev`. Port 0 lets the system choose; wrangler prints the one it got.

    `state` is the folder where the local KV namespace persists.
    """
    return [
        shutil.which("node") or "node",
        str(_WRANGLER),
        "dev",
        f"--config={config}",
        f"--ip={host}",
        f"--port={port}",
        "--inspector-port=0",
        f"--persist-to={state}",
        "--show-interactive-dev-session=false",
    ]


def dev_environment(directory: Path) -> dict[str, str]:
    """The environment of `wrangler dev` when it runs in `directory`, which is prepared for it."""
    _write_request_properties(directory)
    return {
        **os.environ,
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_LOG_PATH": str(directory / "logs"),
        "WRANGLER_REGISTRY_PATH": str(directory / "registry"),
        # The search for a newer wrangler asks the registry; there is none here to ask.
        "npm_config_registry": "http://127.0.0.1:9",
        "NO_COLOR": "1",
        "FORCE_COLOR": "0",
    }


def workerd_count(group: int) -> int:
    """How many workerd processes a process group has: wrangler runs one in front of the Worker's own."""
    count = 0
    for pid in living_members(group):
        with contextlib.suppress(psutil.Error):
            count += psutil.Process(pid).name() == "workerd"
    return count


def _write_request_properties(directory: Path) -> None:
    """Gives miniflare its cached sample of `request.cf`, which it would otherwise download at each start."""
    cache = directory / "node_modules" / ".mf" / "cf.json"
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text('{"colo": "LOC", "country": "XX"}', encoding="utf-8")
