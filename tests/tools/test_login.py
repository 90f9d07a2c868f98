"""`make login` against the simulated Qwen, which plays the person in the browser too."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from qwen_worker.config.settings import Settings
from tests.simulator import QwenSimulator, SimulatorConfig, run_in_thread
from tests.tools.checkout import LOGGED_OUT, Checkout
from tools import dev_vars, login, wrangler
from tools.dev_vars import login_variable, parse_dev_vars, read_dev_vars, with_value, write_value

Act = Callable[[str], None]


class Outcome(NamedTuple):
    """What the program printed, how it ended, and how long it waited before each poll, in seconds."""

    text: str
    end: Any
    waits: list[float]


@pytest.fixture
def qwen() -> Iterator[QwenSimulator]:
    with run_in_thread(SimulatorConfig()) as simulator:
        yield simulator


class Terminal:
    """A terminal in which `make login` runs."""

    def __init__(
        self,
        directory: Path,
        qwen: QwenSimulator,
        patch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.file = directory / ".dev.vars"
        self._patch = patch
        self._capsys = capsys
        patch.setattr(login, "DEV_VARS", self.file)
        patch.setenv("QWEN_OAUTH_BASE_URL", qwen.url)
        patch.delenv("SECRET", raising=False)

    def log_in(self, *acts: Act) -> Outcome:
        """Runs the program; before each poll the person does the next of `acts` with the user code."""
        waits: list[float] = []
        printed: list[str] = []

        async def sleep(seconds: float) -> None:
            printed.append(self._capsys.readouterr().out)
            found = re.search(r"code that it shows: (\w+)", "".join(printed))
            assert found is not None
            if len(waits) < len(acts):
                acts[len(waits)](found[1])
            waits.append(seconds)

        self._patch.setattr(login, "asyncio", SimpleNamespace(run=asyncio.run, sleep=sleep))
        end = None
        try:
            login.main()
        except SystemExit as ended:
            end = ended.code
        text = "".join((*printed, self._capsys.readouterr().out))
        return Outcome(text, end, waits)


@pytest.fixture
def terminal(
    tmp_path: Path, qwen: QwenSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    return Terminal(tmp_path, qwen, monkeypatch, capsys)


def wait(_: str) -> None:
    """The person does nothing yet."""


def test_an_approved_login_is_tried_and_kept(terminal: Terminal, qwen: QwenSimulator) -> None:
    outcome = terminal.log_in(wait, wait, qwen.oauth.approve)

    assert outcome.end is None, outcome
    assert outcome.waits == [2.0, 2.0, 2.0]
    assert "takes the login and answers" in outcome.text
    (made,) = qwen.oauth.logins.values()
    settings = Settings.from_env(read_dev_vars(terminal.file))
    token = settings.accounts[0].login
    assert token is not None
    assert (token.access_token, token.refresh_token) == (made.access_token, made.refresh_token)
    assert token.resource_url == qwen.api_url
    assert (settings.problems, settings.notices) == ((), ())
    assert terminal.file.stat().st_mode & 0o077 == 0
    assert made.access_token not in outcome.text
    assert made.refresh_token not in outcome.text


def test_pkce_and_the_page_are_those_of_the_official_client(terminal: Terminal, qwen: QwenSimulator) -> None:
    outcome = terminal.log_in(qwen.oauth.approve)

    begin = next(request for request in qwen.requests if request.endpoint == "device_code")
    poll = next(request for request in qwen.requests if request.endpoint == "token")
    assert begin.form["code_challenge_method"] == "S256"
    assert begin.form["scope"] == "openid profile email model.completion"
    assert len(poll.form["code_verifier"]) == 43
    assert "user_code=" in outcome.text


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("deny", "the login was denied in the browser; nothing was written"),
        ("expire", "the code has expired before it was approved"),
    ],
)
def test_a_login_that_comes_to_nothing_is_told(
    act: str, said: str, terminal: Terminal, qwen: QwenSimulator
) -> None:
    outcome = terminal.log_in(wait, getattr(qwen.oauth, act))

    assert said in str(outcome.end)
    assert not terminal.file.exists()


def test_a_closed_tier_is_told_when_the_api_refuses_the_login(
    terminal: Terminal, qwen: QwenSimulator
) -> None:
    qwen.oauth.closed_tier = True

    outcome = terminal.log_in(qwen.oauth.approve)

    assert outcome.end == "login: nothing was written"
    assert "closed the free tier on 2026-04-15: set QWEN_API_KEY" in outcome.text
    assert not terminal.file.exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("oauth_tier_closed", "closed its OAuth tier"),
        ("captcha_200", "Something in front of Qwen answered in its place"),
        ("oauth_429", "limits the rate of logins"),
        ("connection_reset", "The connection to Qwen failed"),
    ],
)
def test_why_no_login_can_begin_is_told(
    fault: str, said: str, terminal: Terminal, qwen: QwenSimulator
) -> None:
    qwen.faults.add(fault, endpoint="device_code")

    outcome = terminal.log_in()

    assert said in str(outcome.end)


def test_slow_down_is_obeyed_and_told(terminal: Terminal, qwen: QwenSimulator) -> None:
    qwen.faults.add("oauth_slow_down", endpoint="token", times=5)

    outcome = terminal.log_in(wait, wait, wait, wait, wait, qwen.oauth.approve)

    assert outcome.waits == [2.0, 3.0, 4.5, 6.75, 10.0, 10.0]
    assert "Qwen wants to be asked less often: every 3.0 s" in outcome.text
    assert terminal.file.exists()


def test_passing_faults_are_waited_out_and_told_once(terminal: Terminal, qwen: QwenSimulator) -> None:
    qwen.faults.add("oauth_504_html", endpoint="token", times=3)

    outcome = terminal.log_in(wait, wait, wait, qwen.oauth.approve)

    assert outcome.end is None
    assert outcome.text.count("Qwen does not answer well at the moment (HTTP 504") == 1


def test_ctrl_c_gives_up_and_writes_nothing(terminal: Terminal) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    outcome = terminal.log_in(wait, interrupt)

    assert outcome.end == 130
    assert "given up, nothing was written" in outcome.text
    assert not terminal.file.exists()


def test_the_deployed_workers_secret_is_set_without_showing_it(
    terminal: Terminal, qwen: QwenSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[tuple[str, str]] = []
    monkeypatch.setenv("SECRET", "QWEN_CLI_AUTH_2")
    monkeypatch.setattr("tools.put_login.make_ready", lambda program: None)

    def take(name: str, text: str) -> int:
        put.append((name, text))
        return 0

    monkeypatch.setattr(wrangler, "put_secret", take)

    outcome = terminal.log_in(qwen.oauth.approve)

    assert outcome.end is None
    ((name, text),) = put
    assert name == "QWEN_CLI_AUTH_2"
    assert "\n" not in text
    assert json.loads(text)["access_token"] in qwen.oauth.logins["login-1"].access_tokens
    assert not terminal.file.exists()


def test_a_login_that_could_not_become_a_secret_is_not_lost(
    terminal: Terminal, qwen: QwenSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "QWEN_CLI_AUTH")
    monkeypatch.setattr("tools.put_login.make_ready", lambda program: None)
    monkeypatch.setattr(wrangler, "put_secret", lambda name, text: 1)
    monkeypatch.setattr(login, "LOCAL", tmp_path / ".wrangler")

    outcome = terminal.log_in(qwen.oauth.approve)

    kept = tmp_path / ".wrangler" / "login.json"
    assert "make login-secret FILE=.wrangler/login.json SECRET=QWEN_CLI_AUTH" in str(outcome.end)
    assert json.loads(kept.read_text())["access_token"]
    assert kept.stat().st_mode & 0o077 == 0


def test_a_login_that_could_not_be_written_is_not_lost(
    terminal: Terminal, qwen: QwenSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dev_vars, "write_value", full)
    monkeypatch.setattr(login, "LOCAL", tmp_path / ".wrangler")

    outcome = terminal.log_in(qwen.oauth.approve)

    assert ".dev.vars cannot be written: No space left on device" in str(outcome.end)
    assert json.loads((tmp_path / ".wrangler" / "login.json").read_text())["refresh_token"]


def test_a_file_that_cannot_be_read_is_named_before_anything_begins(
    terminal: Terminal, qwen: QwenSimulator
) -> None:
    terminal.file.write_bytes(b"A=\xff")

    outcome = terminal.log_in()

    assert ".dev.vars cannot be read" in str(outcome.end)
    assert qwen.requests == []


def test_nothing_begins_before_wrangler_is_logged_in(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.answers(LOGGED_OUT)

    result = checkout.run("tools.login", variables={"SECRET": "QWEN_CLI_AUTH"})

    assert result.returncode == 1
    assert "npx wrangler login" in result.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "A='1'\n"),
        ("B=2", "B=2\nA='1'\n"),
        ("A=0\nB=2\n", "A='1'\nB=2\n"),
        ("# A=0\nA='{\n  x\n}' # why\nB=2", "# A=0\nA='1'\nB=2"),
        ("A=0\nB=2\nA=3\n", "A=0\nB=2\nA='1'\n"),
        ("export A = 5\n\n# end\n", "A='1'\n\n# end\n"),
    ],
)
def test_a_value_takes_the_place_of_the_former_and_leaves_the_rest(before: str, after: str) -> None:
    assert with_value(before, "A", "1") == after
    assert parse_dev_vars(after).values["A"] == "1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_a_windows_editor_keeps_its_line_ends(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / ".dev.vars"
    file.write_bytes("B=2\r\nA=0\r\n".encode(encoding))
    file.chmod(0o640)

    write_value(file, "A", "1")

    assert file.read_bytes() == b"B=2\r\nA='1'\r\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == [".dev.vars"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "QWEN_CLI_AUTH"),
        ({"QWEN_CLI_AUTH": '{"access_token": "a"}'}, "QWEN_CLI_AUTH"),
        ({"QWEN_CLI_AUTH": '[{"access_token": "a"}]', "QWEN_CLI_AUTH_2": "b"}, "QWEN_CLI_AUTH_3"),
    ],
)
def test_several_logins_of_one_variable_are_not_overwritten(values: dict[str, str], name: str) -> None:
    assert login_variable(values) == name
