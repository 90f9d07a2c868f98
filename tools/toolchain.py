"""Which programs are there, and whether they are new enough for what they are needed for."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tools.checks import Check, error, note, ok
from tools.setup_environment import DEPLOY_NODE_MAJOR, MINIMUM_NODE_MAJOR

UV_REMEDY = "install it from https://docs.astral.sh/uv/"
_NODE_REMEDY = "install Node.js {} or newer from https://nodejs.org"


def development_tools() -> list[Check]:
    """What `make dev` and `make test` need, and whether a deployment would find its own."""
    node = _version_of("node")
    checks = [
        ok(f"Python {sys.version.split()[0]}"),
        *_node(node, MINIMUM_NODE_MAJOR, "to run the Worker locally"),
    ]
    major = _major(node)
    if major is not None and MINIMUM_NODE_MAJOR <= major < DEPLOY_NODE_MAJOR:
        checks.append(note(f"only deploying needs Node.js {DEPLOY_NODE_MAJOR} or newer"))
    checks.append(_uv() if shutil.which("uv") else note("uv is missing; only deploying needs it", UV_REMEDY))
    return checks


def deployment_tools() -> list[Check]:
    """What `make deploy` needs on this machine."""
    return [ok(f"Python {sys.version.split()[0]}"), *wrangler_tools(), _uv()]


def wrangler_tools() -> list[Check]:
    """What the wrangler that talks to Cloudflare needs on this machine."""
    return _node(_version_of("node"), DEPLOY_NODE_MAJOR, "to deploy (wrangler 4 needs it)")


def node_major() -> int | None:
    """The major version of Node.js; None if it is missing or does not say."""
    return _major(_version_of("node"))


def _major(version: str | None) -> int | None:
    digits = (version or "").lstrip("v").split(".")[0]
    return int(digits) if digits.isdecimal() else None


def _node(version: str | None, minimum_major: int, purpose: str) -> list[Check]:
    major, remedy = _major(version), _NODE_REMEDY.format(minimum_major)
    if major is None:
        return [error(f"Node.js is missing; it is needed {purpose}", remedy)]
    if major < minimum_major:
        return [error(f"Node.js {version} is too old {purpose}: {minimum_major} or newer is needed", remedy)]
    if shutil.which("npm") is None:
        return [error(f"npm is missing; it is needed {purpose}", "install npm, which Node.js comes with")]
    return [ok(f"Node.js {version} with npm")]


def _uv() -> Check:
    version = _version_of("uv")
    return ok(version) if version else error("uv is missing; it is needed to deploy", UV_REMEDY)


def _version_of(program: str) -> str | None:
    """The first line of `program --version`; None if the program is missing or fails."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        result = subprocess.run(
            [path, "--version"], capture_output=True, encoding="utf-8", check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = result.stdout.strip().splitlines()
    return lines[0] if result.returncode == 0 and lines else None
