"""Installs the clients into .venv-clients and folders of tests/clients, as `make test-clients` does first.

As tools/setup_environment.py it runs on the system's Python, with nothing but the standard library.
"""

from __future__ import annotations

import sys

from tools.setup_environment import (
    PIP,
    ROOT,
    digest,
    install_node_packages,
    is_current,
    run,
    runs_this_python,
    say,
    setup_lock,
)

VENV = ROOT / ".venv-clients"
CLIENTS = ROOT / "tests" / "clients"
REQUIREMENTS = CLIENTS / "requirements.txt"
REQUIREMENTS_ALONE = CLIENTS / "requirements-alone.txt"
"""Packages that are installed without their dependencies."""
NODE_PROJECTS = (CLIENTS / "node", CLIENTS / "codex", CLIENTS / "node_anthropic")
"""Codex, 424 MB of it, is in a project of its own."""


def main() -> None:
    """Installs what has changed since the last time."""
    with setup_lock():
        install_python_clients()
        for project in NODE_PROJECTS:
            install_node_packages(project)


def install_python_clients() -> None:
    """Creates the virtual environment and installs the pinned clients into it."""
    python = VENV / "bin" / "python"
    stamp = VENV / ".setup-stamp"
    pins = [file.read_text() for file in (REQUIREMENTS, REQUIREMENTS_ALONE)]
    fingerprint = digest(PIP, str(sys.version_info[:2]), *pins)
    if python.exists() and is_current(stamp, fingerprint):
        return
    say("installing Python clients into .venv-clients")
    if not runs_this_python(python):
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", PIP])
    run([*pip, "install", "--requirement", str(REQUIREMENTS)])
    run([*pip, "install", "--no-deps", "--requirement", str(REQUIREMENTS_ALONE)])
    stamp.write_text(fingerprint)


if __name__ == "__main__":
    main()
