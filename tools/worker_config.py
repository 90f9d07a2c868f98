"""The configuration for local runs, derived from wrangler.toml each time.

wrangler.toml is written for production. The embedded runtime needs a little less and a little more; this
module makes the difference, so that there is no second file to maintain.
"""

import json
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.repository import ROOT, WRANGLER_TOML

# The newest date that the embedded workerd knows. Asked for a later one, it warns and falls back to this one.
EMBEDDED_COMPATIBILITY_DATE = "2024-11-06"

# And the one flag that it needs. It calls functions of the entry module in any case, and refuses flags that
# are newer than itself.
EMBEDDED_COMPATIBILITY_FLAGS = ["python_workers"]

_PYTHONS = (("2026-09-08", "3.14"), ("2025-09-29", "3.13"), ("", "3.12"))
"""From which compatibility date on production runs which Python (workers-runtime)."""

# The embedded runtime runs no cron triggers and keeps no logs. With a build command its wrangler would no
# longer notice that a module was changed; `complete_page` runs it.
_PRODUCTION_ONLY = ("triggers", "observability", "build")


def production_config() -> dict[str, Any]:
    """wrangler.toml as it is."""
    return tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))


def expected_python(compatibility_date: str) -> str:
    """The Python, such as `3.14`, that production runs a Worker of this compatibility date with."""
    return next(python for since, python in _PYTHONS if compatibility_date >= since)


def local_config(source: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a Worker on the embedded runtime.

    `source` is the folder that stands for `src/`; `variables` become the Worker's variables, besides those of
    wrangler.toml.
    """
    config = {key: value for key, value in production_config().items() if key not in _PRODUCTION_ONLY}
    # The embedded wrangler knows rate limits by another name.
    limits = [{"type": "ratelimit", **limit} for limit in config.pop("ratelimits", [])]
    if limits:
        config["unsafe"] = {"bindings": limits}
    entry = Path(config["main"]).relative_to("src")
    # wrangler takes paths from the folder of the configuration.
    assets = {**config["assets"], "directory": str(ROOT / config["assets"]["directory"])}
    return {
        **config,
        "main": str(source / entry),
        "assets": assets,
        "compatibility_date": EMBEDDED_COMPATIBILITY_DATE,
        "compatibility_flags": EMBEDDED_COMPATIBILITY_FLAGS,
        "kv_namespaces": [
            # The embedded wrangler knows no automatic provisioning: it wants an id, any id.
            {"id": namespace["binding"].lower(), **namespace}
            for namespace in config.get("kv_namespaces", [])
        ],
        "d1_databases": [
            {"database_id": database["binding"].lower(), **database}
            for database in config.get("d1_databases", [])
        ],
        "vars": {**config.get("vars", {}), **variables},
        "send_metrics": False,
    }


def complete_page() -> None:
    """Runs the build command of wrangler.toml, which puts into `public/` what the repository does not hold.

    Raises CalledProcessError; the command has said why then.
    """
    program, *arguments = shlex.split(production_config()["build"]["command"])
    subprocess.run([shutil.which(program) or program, *arguments], cwd=ROOT, check=True)


def write_local_config(directory: Path, source: Path, variables: Mapping[str, str]) -> Path:
    """Writes `local_config` to a file in `directory`, which is created, and returns its path.

    The page is completed too: raises what `complete_page` does.
    """
    complete_page()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "wrangler.json"
    path.write_text(json.dumps(local_config(source, variables), indent=2), encoding="utf-8")
    # The variables may hold credentials.
    path.chmod(0o600)
    return path
