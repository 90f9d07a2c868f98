"""A machine on which the doctor looks around, and gateways that it may ask."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.tools.checkout import Checkout
from tools import doctor
from tools.network import free_port

CLIENT_KEY = "test-client-key"
SECRETS = ("access-token-1", "refresh-token-1", "test-api-key", CLIENT_KEY, "sk-sp-test")
ACCOUNTS = [{"label": "a", "state": "ready", "credentials": {"kind": "oauth", "state": "ready"}}]
HEALTHY = {
    "status": "ok",
    "uptime": 1,
    "version": "qwen-worker-1.0.0",
    "accounts": ACCOUNTS,
}
MODELS = {"object": "list", "data": [{"id": "qwen3-coder-plus"}]}

StartGateway = Callable[..., str]


class Examination(NamedTuple):
    """What a run of the doctor has printed, and its exit code."""

    exit_code: int
    text: str

    def of_level(self, level: str) -> list[str]:
        """The checks of a level."""
        lines = [line.strip() for line in self.text.splitlines()]
        return [line[len(level) :].strip() for line in lines if line.split()[:1] == [level]]


class Machine:
    """A machine with a checkout on it, and nothing but the fakes on its PATH."""

    def __init__(
        self, checkout: Checkout, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.checkout = checkout
        self.home = checkout.root.parent / "home"
        self._capsys = capsys
        self._patch = patch
        patch.setattr(doctor, "DEV_VARS", checkout.root / ".dev.vars")
        patch.setenv("HOME", str(self.home))
        patch.setenv("PORT", str(free_port()))
        for name in ("HOST", "URL", "OPENAI_API_KEY", "LIVE"):
            patch.delenv(name, raising=False)

    def dev_vars(self, content: str | bytes, mode: int = 0o600) -> None:
        file = self.checkout.root / ".dev.vars"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)

    def examine(self, url: str = "", *, tools: bool = False, **variables: str) -> Examination:
        """Runs the doctor; the programs are looked at only if `tools`, because that takes a while."""
        if tools:
            self._patch.setenv("PATH", str(self.checkout.path))
        else:
            self._patch.setattr(doctor, "development_tools", list)
        for name, value in {"URL": url, **variables}.items():
            self._patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            doctor.main()
        text = self._capsys.readouterr().out
        assert not any(secret in text for secret in SECRETS)
        assert isinstance(ended.value.code, int)
        return Examination(ended.value.code, text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(Checkout(tmp_path), monkeypatch, capsys)


@pytest.fixture
def start_gateway() -> Iterator[StartGateway]:
    """Plays a gateway: `start_gateway({path: (status, body)}, key="...")` returns its address.

    A `body` may be a function that is given the handler and answers itself.
    """
    with ExitStack() as cleanup:

        def start(
            answers: dict[str, tuple[int, Any]], key: str | None = None, *, preflight_status: int = 204
        ) -> str:
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    status, body = answers.get(self.path, (404, {}))
                    if key and self.path != "/health" and self.headers["authorization"] != f"Bearer {key}":
                        status, body = 401, {}
                    if callable(body):
                        body(self)
                        return
                    self.send_response(status)
                    if 300 <= status < 400:
                        self.send_header("location", body)
                    self.end_headers()
                    self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["content-length"]))
                    self.do_GET()

                def do_OPTIONS(self) -> None:
                    self.send_response(preflight_status)
                    self.send_header("access-control-allow-origin", "*")
                    asked = self.headers["access-control-request-headers"]
                    self.send_header("access-control-allow-headers", asked)
                    self.end_headers()

                def log_message(self, *_: Any) -> None:
                    pass

            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            cleanup.callback(server.server_close)
            cleanup.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            return f"http://127.0.0.1:{server.server_port}"

        yield start
