"""Installs the clients into .venv-clients and tests/clients/node, as `make test-clients` does first.

As tools/setup_environment.py it runs on the system's Python, with nothing but the standard library.
"""

from __future__ import annotations

import json
import sys

from tools.setup_environment import (
    PIP,
    ROOT,
    dependency_groups,
    digest,
    install_node_packages,
    is_current,
    run,
    runs_this_python,
    say,
    setup_lock,
)

VENV = ROOT / ".venv-clients"
NODE_PROJECT = ROOT / "tests" / "clients" / "node"


def main() -> None:
    """Installs what has changed since the last time."""
    with setup_lock():
        install_python_clients()
        install_node_packages(NODE_PROJECT)


def install_python_clients() -> None:
    """Creates the virtual environment and installs the groups `clients` and `clients-alone` into it."""
    python = VENV / "bin" / "python"
    stamp = VENV / ".setup-stamp"
    fingerprint = digest(PIP, str(sys.version_info[:2]), json.dumps(dependency_groups()))
    if python.exists() and is_current(stamp, fingerprint):
        return
    say("installing Python clients into .venv-clients")
    if not runs_this_python(python):
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    project = ROOT / "pyproject.toml"
    run([*pip, "install", PIP])
    run([*pip, "install", "--group", f"{project}:clients"])
    run([*pip, "install", "--no-deps", "--group", f"{project}:clients-alone"])
    stamp.write_text(fingerprint)


if __name__ == "__main__":
    main()
