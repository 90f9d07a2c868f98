"""Asking Cloudflare through the wrangler that package.json pins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from tools.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGIN_REMEDY = (
    "log in with: npx wrangler login   (or set CLOUDFLARE_API_TOKEN, "
    "see https://developers.cloudflare.com/workers/wrangler/ci-cd/)"
)
_WRANGLER = ROOT / "node_modules" / "wrangler" / "bin" / "wrangler.js"


def command(*arguments: str) -> list[str]:
    """The command line of a call to wrangler."""
    return [shutil.which("node") or "node", str(_WRANGLER), *arguments]


def is_logged_in() -> bool:
    """Whether Cloudflare takes wrangler's login, or the API token in the environment."""
    answer = _json(["whoami", "--json"])
    return isinstance(answer, dict) and answer.get("loggedIn") is True


def secret_names() -> set[str] | None:
    """The names of the deployed Worker's secrets; None if there is no such Worker yet, or no answer."""
    answer = _json(["secret", "list", "--format=json"])
    if not isinstance(answer, list):
        return None
    return {item["name"] for item in answer if isinstance(item, dict) and isinstance(item.get("name"), str)}


def put_secret(name: str, value: str) -> int:
    """Sets a secret of the deployed Worker, handed over on standard input. Returns wrangler's exit code."""
    result = subprocess.run(
        command("secret", "put", name),
        cwd=ROOT,
        env=quiet_environment(),
        input=value,
        encoding="utf-8",
        check=False,
    )
    return result.returncode


def _json(arguments: Sequence[str]) -> Any:
    """What a call prints, parsed; None if it fails or prints something else."""
    result = subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=quiet_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode != 0:
        return None
    try:
        return json.loads(result.stdout)
    except ValueError:
        return None


def quiet_environment() -> dict[str, str]:
    """The environment for wrangler: no colours, nothing sent about its use."""
    return {**os.environ, "NO_COLOR": "1", "WRANGLER_SEND_METRICS": "false"}
