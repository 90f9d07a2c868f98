import json
import queue
import shlex
from pathlib import Path

import pytest

from tools import dev_server as dev
from tools.dev_instructions import instructions
from tools.dev_server import needs_client_key, provide_dev_vars, read_options


def test_options_have_defaults() -> None:
    options = read_options({"PORT": "", "HOST": ""}, with_simulator=False)

    assert options.url == "http://127.0.0.1:8787"
    assert options.state.is_absolute()


def test_options_are_honoured() -> None:
    options = read_options({"PORT": "9000", "HOST": "0.0.0.0", "STATE": "/somewhere"}, with_simulator=True)

    assert (options.host, options.port, options.state) == ("0.0.0.0", 9000, Path("/somewhere"))
    assert options.url == "http://127.0.0.1:9000"


def test_the_simulators_logins_stay_away_from_a_real_accounts_state() -> None:
    assert read_options({}, with_simulator=True).state != read_options({}, with_simulator=False).state


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80.5"])
def test_a_bad_port_is_named(port: str) -> None:
    with pytest.raises(SystemExit, match="PORT must be a number"):
        read_options({"PORT": port}, with_simulator=False)


def test_a_workerd_that_keeps_dying_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    events: dev.Events = queue.SimpleQueue()
    lives = []

    class ShortLived:
        def __init__(self, *_: object, is_first: bool) -> None:
            lives.append(is_first)
            events.put(dev.WORKERD_DIED)

        def stop(self) -> None:
            pass

    monkeypatch.setattr(dev, "Worker", ShortLived)

    end = dev.serve(read_options({}, with_simulator=True), {}, events)

    assert end.exit_code == 1
    assert "workerd died 5 times" in end.message
    assert lives == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("OPENAI_API_KEY=test-client-key", True),
        ("CLIENT_KEYS=test-client-key", True),
        ("LOG_LEVEL=debug\n  export OPENAI_API_KEY = 'test-client-key'", True),
        ("OPENAI_API_KEY=", False),
        ("# OPENAI_API_KEY=test-client-key", False),
        ("QWEN_API_KEY=test-api-key", False),
    ],
)
def test_client_keys_are_noticed(
    content: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".dev.vars"
    monkeypatch.setattr(dev, "DEV_VARS", file)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        file.write_bytes(content.encode(encoding))
        assert needs_client_key() is expected


@pytest.mark.parametrize(("encoding", "is_link"), [("utf-8", True), ("utf-8-sig", False), ("utf-16", False)])
def test_wrangler_is_given_text_that_it_can_read(
    encoding: str, is_link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".dev.vars"
    monkeypatch.setattr(dev, "DEV_VARS", file)
    place = tmp_path / "dev" / ".dev.vars"
    place.parent.mkdir()
    for content in ("A=1\n", "A=2\n"):
        file.write_bytes(content.encode(encoding))

        provide_dev_vars(place.parent)

        assert place.read_bytes() == content.encode()
        assert place.is_symlink() is is_link
        assert is_link or place.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".dev.vars"
    file.write_bytes(b"A=\xff")
    monkeypatch.setattr(dev, "DEV_VARS", file)
    with pytest.raises(SystemExit, match="save it as UTF-8"):
        provide_dev_vars(tmp_path / "dev")


@pytest.mark.parametrize("needs_key", [False, True])
def test_snippets_are_valid(needs_key: bool) -> None:
    text = instructions("http://127.0.0.1:8787", needs_key=needs_key)

    curl, python = text[text.index("curl") :].split("\n\n", 1)
    arguments = shlex.split(curl)
    assert json.loads(arguments[arguments.index("-d") + 1])["stream"] is True
    assert ("Authorization: Bearer $OPENAI_API_KEY" in arguments) is needs_key
    program = python.split("<<'EOF'\n")[1].split("EOF\n")[0]
    compile(program, "snippet", "exec")
    assert ("api_key=" in program) is not needs_key
