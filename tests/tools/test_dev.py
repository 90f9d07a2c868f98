import json
import queue
import shlex
from pathlib import Path

import pytest

from tools import dev
from tools.dev import needs_client_key, read_options
from tools.dev_instructions import instructions


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
    assert "workerd died 3 times" in end.message
    assert lives == [True, False, False]


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
    file.write_text(content)
    monkeypatch.setattr(dev, "DEV_VARS", file)

    assert needs_client_key() is expected


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
