"""What a checkout on Windows has otherwise: CRLF, another default encoding, no make, programs elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.checkout import LOGGED_IN, Checkout
from tools import dev, setup_environment
from tools.repository import ROOT

TOOLS = ("tools.doctor", "tools.deploy", "tools.login", "tools.put_login", "tools.logs")


def test_every_text_file_has_lf_in_every_checkout() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    for line in listed.stdout.splitlines():
        index, _, attributes = line.partition("\t")[0].split(maxsplit=2)
        assert index in ("i/lf", "i/none", "i/-text"), line
        assert "eol=lf" in attributes, line


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """One whose files end their lines with CRLF, whatever .gitattributes says."""
    checkout = Checkout(tmp_path)
    checkout.answers(LOGGED_IN)
    for file in checkout.root.rglob("*"):
        if file.is_file() and not file.is_relative_to(checkout.root / "src"):
            file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return checkout


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_run_without_make_from_a_crlf_checkout(tool: str, checkout: Checkout) -> None:
    (checkout.root / ".dev.vars").write_bytes(b"QWEN_API_KEY=test-api-key\r\nCLIENT_KEYS=\xc3\xa4\r\n")
    variables = {
        "PORT": "1",
        "QWEN_OAUTH_BASE_URL": "http://127.0.0.1:1",
        "LANG": "C",
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONWARNINGS": "error::EncodingWarning",
    }

    result = checkout.run(tool, variables=variables)

    assert "Traceback" not in result.stdout, result.stdout
    assert "EncodingWarning" not in result.stdout
    expected = {
        "tools.doctor": "doctor: ",
        "tools.deploy": "logged in to Cloudflare",
        "tools.login": "The connection to Qwen failed",
        "tools.put_login": "cannot be read: No such file",
        "tools.logs": "logs: shows each request",
    }
    assert expected[tool] in result.stdout


def test_programs_are_where_windows_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup_environment.venv_program("python") == setup_environment.VENV / "bin" / "python"

    monkeypatch.setattr("tools.setup_environment.os.name", "nt")

    assert setup_environment.venv_program("python") == setup_environment.VENV / "Scripts" / "python.exe"


def test_the_local_runtime_sends_windows_to_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.dev.os.name", "nt")

    with pytest.raises(SystemExit, match="WSL"):
        dev.main()


def test_dev_without_make_sets_up_and_goes_on_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []
    monkeypatch.setattr(setup_environment, "main", steps.append)
    monkeypatch.setattr(setup_environment, "replace_process", steps.append)
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "argv", ["dev"])

    setup_environment.enter_environment("tools.dev")
    assert steps == [[], [str(setup_environment.venv_program("python")), "-m", "tools.dev"]]

    monkeypatch.setattr(sys, "prefix", str(setup_environment.VENV))
    steps.clear()
    setup_environment.enter_environment("tools.dev")
    assert steps == [[]]
