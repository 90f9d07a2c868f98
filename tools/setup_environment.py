"""Installs what development needs, and only what has changed since the last time.

Run by the system's Python before there is a virtual environment, so it uses the standard library only and
syntax that an old Python can parse far enough to print why it is too old.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE_MAJOR = 18
DEPLOY_NODE_MAJOR = 22
# pip installs dependency groups from 25.1 on; the one that `venv` bundles is often older.
PIP = "pip==26.3"

DEVELOPMENT_NODE_PROJECTS = (ROOT / "tools" / "embedded-runtime", ROOT / "tests" / "worker" / "node")
DEPLOY_NODE_PROJECTS = (ROOT,)
PRODUCTION_NODE_PROJECTS = (ROOT, ROOT / "tests" / "production")


def main(arguments: Sequence[str]) -> None:
    """Sets up for development, with `--deploy` for a deployment, with `--production` for tests/production."""
    check_python()
    if "--deploy" in arguments:
        check_node(DEPLOY_NODE_MAJOR, "to deploy (wrangler 4 needs it)")
        projects: Sequence[Path] = DEPLOY_NODE_PROJECTS
    elif "--production" in arguments:
        check_node(MINIMUM_NODE_MAJOR, "to run Pyodide")
        projects = PRODUCTION_NODE_PROJECTS
    else:
        check_node(MINIMUM_NODE_MAJOR, "to run the Worker locally")
        projects = DEVELOPMENT_NODE_PROJECTS
    with setup_lock():
        if "--deploy" not in arguments:
            install_python_packages()
        for project in projects:
            install_node_packages(project)
        if ROOT not in projects:
            install_page_packages()


def enter_environment(module: str) -> None:
    """Sets up, and goes on as `python -m module` in the virtual environment; returns in there."""
    main([])
    if Path(sys.prefix).resolve() != VENV.resolve():
        replace_process([str(venv_program("python")), "-m", module, *sys.argv[1:]])


def replace_process(command: list[str]) -> NoReturn:
    """Goes on as another program in this folder, which gets this one's terminal and signals."""
    os.chdir(ROOT)
    if os.name == "nt":  # where exec returns to the shell at once
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execvp(command[0], command)  # noqa: S606


def venv_program(name: str) -> Path:
    """Where the virtual environment has a program."""
    return VENV / "Scripts" / f"{name}.exe" if os.name == "nt" else VENV / "bin" / name


def check_python() -> None:
    """Ends with a message if this Python is too old."""
    if sys.version_info < MINIMUM_PYTHON:
        fail(
            f"Python {'.'.join(map(str, MINIMUM_PYTHON))} or newer is needed; "
            f"{sys.executable} is {sys.version.split()[0]}. Name another one: make setup PYTHON=python3.13"
        )


def check_node(minimum_major: int, purpose: str) -> None:
    """Ends with a message if Node.js or npm is missing or too old."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        fail(f"Node.js {minimum_major} or newer with npm is needed {purpose}: https://nodejs.org")
    version = subprocess.run(
        [node, "--version"], check=True, capture_output=True, encoding="utf-8"
    ).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < minimum_major:
        fail(f"Node.js {minimum_major} or newer is needed {purpose}; {node} is {version}.")


def install_python_packages() -> None:
    """Creates the virtual environment and installs the `dev` dependency group into it."""
    python = venv_program("python")
    stamp = VENV / ".setup-stamp"
    fingerprint = digest(PIP, str(sys.version_info[:2]), json.dumps(dependency_groups()))
    if python.exists() and is_current(stamp, fingerprint):
        return
    say("installing Python packages into .venv")
    if not runs_this_python(python):
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    elif not has_pip(python):
        run([str(python), "-m", "ensurepip"])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", PIP])
    run([*pip, "install", "--group", f"{ROOT / 'pyproject.toml'}:dev"])
    stamp.write_text(fingerprint, encoding="utf-8")


def runs_this_python(python: Path) -> bool:
    """Tells whether an environment is there, works, and has the version of the Python that sets it up."""
    if not python.exists():
        return False
    version = "import sys; print(sys.version_info[:2])"
    result = subprocess.run([str(python), "-c", version], capture_output=True, encoding="utf-8", check=False)
    return result.returncode == 0 and result.stdout.strip() == str(sys.version_info[:2])


def has_pip(python: Path) -> bool:
    """Tells whether the environment has pip (one that uv made has none)."""
    result = subprocess.run([str(python), "-c", "import pip"], capture_output=True, check=False)
    return result.returncode == 0


def install_node_packages(project: Path) -> None:
    """Installs exactly what a Node project's lockfile names. No package's install script is needed or run."""
    modules = project / "node_modules"
    stamp = modules / ".setup-stamp"
    fingerprint = digest(
        *((project / name).read_text(encoding="utf-8") for name in ("package.json", "package-lock.json"))
    )
    if is_current(stamp, fingerprint):
        return
    say(f"installing Node packages into {modules.relative_to(ROOT)}")
    run([shutil.which("npm") or "npm", "ci", "--ignore-scripts", "--loglevel=error"], cwd=project)
    stamp.write_text(fingerprint, encoding="utf-8")


def install_page_packages() -> None:
    """Installs what the page needs of the repository's own Node project, without the Wrangler that deploys.

    Leaves alone what is there already, with or without that Wrangler.
    """
    modules = ROOT / "node_modules"
    pins = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    with contextlib.suppress(OSError):
        if {name: installed_version(modules / name) for name in pins} == pins:
            return
    say(f"installing Node packages into {modules.relative_to(ROOT)}")
    run([shutil.which("npm") or "npm", "ci", "--omit=dev", "--ignore-scripts", "--loglevel=error"])


def installed_version(package: Path) -> object:
    """The version of a Node package in its folder. Raises OSError if there is none."""
    return json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]


def dependency_groups() -> object:
    """The dependency groups of pyproject.toml: nothing else in it concerns the environment."""
    import tomllib  # not in a Python that is too old

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]


def digest(*facts: str) -> str:
    """A fingerprint of what decides an installation, to tell whether the one that is there is current."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def is_current(stamp: Path, fingerprint: str) -> bool:
    """Tells whether an earlier setup finished with the same fingerprint."""
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint


@contextlib.contextmanager
def setup_lock() -> Iterator[None]:
    """Lets one setup run at a time in this checkout: a second one waits and then finds everything done."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    directory = ROOT / ".wrangler"
    directory.mkdir(exist_ok=True)
    with (directory / "setup.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], cwd: Path = ROOT) -> None:
    """Runs a command whose output goes to the terminal; ends with its exit code if it fails."""
    result = subprocess.run(command, cwd=cwd, check=False)
    if result.returncode != 0:
        fail(f"this command failed with exit code {result.returncode}: {' '.join(command)}")


def say(message: str) -> None:
    """Tells the developer what takes time."""
    print(f"setup: {message}", flush=True)


def fail(message: str) -> NoReturn:
    """Ends the setup with a message."""
    sys.exit(f"setup: {message}")


if __name__ == "__main__":
    main(sys.argv[1:])
