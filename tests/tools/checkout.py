"""A copy of this repository's tools on a machine with fake programs in place of uv, node, npm and wrangler.

The fakes write down how they are called, and answer as a test tells them to. Nothing leaves the machine.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.repository import ROOT

_PLAYER = """#!{python}
import json, pathlib, sys
stage = pathlib.Path({stage!r})
program, arguments = {program!r}, sys.argv[1:]
if program == "node" and arguments[0].endswith("wrangler.js"):
    program, arguments = "wrangler", arguments[1:]
if arguments == ["--version"]:
    print(json.loads((stage / "versions.json").read_text(encoding="utf-8"))[program])
    sys.exit()
given = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
with (stage / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps([program, arguments, given, str(pathlib.Path.cwd())]) + "\\n")
if program == "npm":
    target = pathlib.Path("node_modules/wrangler/bin")
    target.mkdir(parents=True)
    (target / "wrangler.js").touch()
answers = json.loads((stage / "answers.json").read_text(encoding="utf-8"))
code, text = answers.get(" ".join([program, *arguments[:2]]), [0, ""])
print(text)
sys.exit(code)
"""

LOGGED_IN = {"wrangler whoami --json": (0, '{"loggedIn":true,"email":"someone@example.com"}')}
LOGGED_OUT = {"wrangler whoami --json": (1, '{"loggedIn":false}')}


class Call(NamedTuple):
    """How a program was called."""

    program: str
    arguments: list[str]
    stdin: str
    cwd: str


class Checkout:
    """The copy, in `directory`; `path` holds the fakes.

    Take programs away with `remove`, age them with `versions`.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "checkout"
        self._stage = directory / "stage"
        self.path = directory / "bin"
        self.root.mkdir()
        self._stage.mkdir()
        self.path.mkdir()
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / "tools", self.root / "tools", ignore=ignored)
        (self.root / "src").symlink_to(ROOT / "src")
        for name in ("Makefile", "pyproject.toml", "wrangler.toml", "package.json", "package-lock.json"):
            shutil.copy(ROOT / name, self.root / name)
        for program in ("uv", "node", "npm"):
            self._play(self.path / program)
        self.versions({})
        self.answers({})

    def versions(self, changes: Mapping[str, str]) -> None:
        """What the programs say to `--version`."""
        versions = {"node": "v22.12.0", "uv": "uv 0.9.0", "npm": "10.9.0", **changes}
        (self._stage / "versions.json").write_text(json.dumps(versions))

    def answers(self, answers: Mapping[str, tuple[int, str]]) -> None:
        """Exit code and output, by the program and its first two arguments. Others succeed silently."""
        (self._stage / "answers.json").write_text(json.dumps(answers))

    def remove(self, program: str) -> None:
        """Takes a program off this machine."""
        (self.path / program).unlink()

    def run(
        self, module: str, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Runs one of the tools with nothing on the PATH but the fakes."""
        command = [sys.executable, "-m", module, *arguments]
        return self._run(command, {"PATH": str(self.path), **(variables or {})})

    def make(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs make, with the fakes before everything else on the PATH."""
        path = f"{self.path}{os.pathsep}{os.environ['PATH']}"
        return self._run(["make", f"PYTHON={sys.executable}", *arguments], {"PATH": path})

    def calls(self, program: str | None = None) -> list[Call]:
        """The calls so far, of one program or of all, in order."""
        file = self._stage / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        calls = [Call(*json.loads(line)) for line in lines]
        return [call for call in calls if program in (None, call.program)]

    def _play(self, file: Path) -> None:
        file.write_text(_PLAYER.format(python=sys.executable, stage=str(self._stage), program=file.name))
        file.chmod(0o755)

    def _run(self, command: list[str], variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.root,
            env={"HOME": str(self.root.parent / "home"), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=50,
            check=False,
        )
