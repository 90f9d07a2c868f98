"""OpenAI's Codex CLI, headless (`codex exec`), which speaks the Responses API and nothing else."""

import json
import os
import shutil
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.questions import DELTAS, TEXT
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker, start_make_dev

CODEX = Path(__file__).parent / "codex" / "node_modules" / ".bin" / "codex"
MODEL = "qwen3-coder-plus"
OPENAI_MODEL = "gpt-5.5"
"""A model that Codex knows: it gets custom tools, other models get a namespace."""

KEEP_ALIVE_SECONDS = 0.4
RETRIES = 2

ANSWER = {"text": DELTAS, "tool_calls": []}
"""An answer that calls nothing, whatever the question names."""

pytestmark = pytest.mark.skipif(not CODEX.exists(), reason="Codex is not installed")


@dataclass
class Run:
    """What `codex exec --json` has printed."""

    output: str
    seconds: float
    events: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.events = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def items(self, kind: str) -> list[dict[str, Any]]:
        completed = (event["item"] for event in self.events if event["type"] == "item.completed")
        return [item for item in completed if item["type"] == kind]

    @property
    def text(self) -> str:
        """The last message."""
        return str(self.items("agent_message")[-1]["text"])

    @property
    def failure(self) -> str:
        """What its user is told of a turn that failed."""
        [failed] = [event for event in self.events if event["type"] == "turn.failed"]
        return str(failed["error"]["message"])


class Codex:
    """Codex in a folder of its own, and a Worker whose login no other test uses."""

    def __init__(self, folder: Path, worker: Worker, simulator: QwenSimulator, login: str) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self._home = folder / "home"
        self._home.mkdir()
        self.worker = worker
        self._simulator = simulator
        self._login = login
        self._before = len(simulator.chats)

    def answers(self, *faults: Any) -> None:
        """What Qwen answers to the next requests."""
        for fault in faults:
            self._simulator.faults.add(fault, credential=self._login)

    def exec(self, prompt: str, *, is_builtin: bool = False, **settings: Any) -> Run:
        """Runs one turn; `settings` are members of config.toml."""
        provider = {
            "name": "Qwen",
            "base_url": self.worker.openai_base_url,
            "env_key": "GATEWAY_KEY",
            "wire_api": "responses",
            "request_max_retries": RETRIES,
            "stream_max_retries": RETRIES,
            **settings.pop("provider", {}),
        }
        config: dict[str, Any] = {"model": MODEL, "model_provider": "qwen", **settings}
        if is_builtin:
            config["model_provider"] = "openai"
            config["openai_base_url"] = self.worker.openai_base_url
        lines = [f"{name} = {json.dumps(value)}" for name, value in config.items()]
        lines += ["[model_providers.qwen]", *(f"{name} = {json.dumps(v)}" for name, v in provider.items())]
        (self._home / "config.toml").write_text("\n".join(lines))
        began = time.monotonic()
        result = subprocess.run(
            [
                *(str(CODEX), "exec", "--json", "--skip-git-repo-check"),
                "--dangerously-bypass-approvals-and-sandbox",
                prompt,
            ],
            cwd=self.folder,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self._home),
                "CODEX_HOME": str(self._home),
                "GATEWAY_KEY": CLIENT_KEY,
                "CODEX_API_KEY": CLIENT_KEY,
                "OPENAI_API_KEY": CLIENT_KEY,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Run(result.stdout, time.monotonic() - began)

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies that reached Qwen."""
        requests = self._simulator.chats[self._before :]
        return [dict(r.body) for r in requests if r.credential == self._login and isinstance(r.body, dict)]


def call(name: str, arguments: Any) -> dict[str, Any]:
    """The answer that calls a function."""
    return {"tool_calls": [{"name": name, "arguments": json.dumps(arguments)}]}


def results(chat: dict[str, Any]) -> list[str]:
    """The tools' results in a request."""
    return [str(message["content"]) for message in chat["messages"] if message["role"] == "tool"]


@pytest.fixture(scope="module")
def gateway(simulator: QwenSimulator) -> Iterator[tuple[Worker, str]]:
    """A Worker that `make dev` serves, and the name of its login."""
    login = simulator.create_login()
    worker = start_make_dev(
        {
            "QWEN_CLI_AUTH": json.dumps(login.credentials()),
            "QWEN_OAUTH_BASE_URL": simulator.url,
            "CLIENT_KEYS": CLIENT_KEY,
            "MODEL_ALIASES": json.dumps({OPENAI_MODEL: MODEL}),
            "STREAM_KEEP_ALIVE_SECONDS": str(KEEP_ALIVE_SECONDS),
        }
    )
    yield worker, login.name
    worker.stop()


@pytest.fixture
def codex(tmp_path: Path, gateway: tuple[Worker, str], simulator: QwenSimulator) -> Iterator[Codex]:
    worker, login = gateway
    yield Codex(tmp_path, worker, simulator, login)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_question(codex: Codex) -> None:
    codex.answers({"reasoning": ["Let me", " think."], "text": DELTAS})
    run = codex.exec("Say hello.")

    assert run.text == TEXT
    assert [item["text"] for item in run.items("reasoning")] == ["Let me think."]
    [completed] = [event for event in run.events if event["type"] == "turn.completed"]
    assert completed["usage"]["output_tokens"] > 0
    assert len(codex.chats) == 1


def test_a_command_is_run_and_its_output_told(codex: Codex) -> None:
    codex.answers(call("exec_command", {"cmd": "echo mark-$((40 + 2))"}), ANSWER)
    run = codex.exec("Run it.")

    assert run.text == TEXT
    first, second = codex.chats
    assert not results(first)
    assert "mark-42" in results(second)[0]


def test_a_tool_of_a_namespace_is_run(codex: Codex) -> None:
    codex.answers(call("multi_agent_v1__close_agent", {"target": "nobody"}), ANSWER)
    run = codex.exec("Close it.")

    assert run.text == TEXT
    first, second = codex.chats
    assert "multi_agent_v1__close_agent" in {tool["function"]["name"] for tool in first["tools"]}
    [result] = results(second)
    assert "unsupported" not in result
    assert "nobody" in result


def test_a_patch_is_applied(codex: Codex) -> None:
    patch = "*** Begin Patch\n*** Add File: hello.txt\n+Hello, 你好\n*** End Patch\n"
    codex.answers(call("apply_patch", {"input": patch}), ANSWER)
    run = codex.exec("Write it.", model=OPENAI_MODEL)

    assert run.text == TEXT
    assert (codex.folder / "hello.txt").read_text("utf-8") == "Hello, 你好\n"
    first, second = codex.chats
    assert first["model"] == MODEL
    [patching] = [tool for tool in first["tools"] if tool["function"]["name"] == "apply_patch"]
    assert "begin_patch" in patching["function"]["description"]
    assert "Success" in results(second)[0]


def test_an_image_is_seen(codex: Codex) -> None:
    (codex.folder / "dot.png").write_bytes(png())
    codex.answers(call("view_image", {"path": str(codex.folder / "dot.png")}), ANSWER)
    run = codex.exec("Look at it.")

    assert run.text == TEXT
    last = codex.chats[-1]["messages"][-1]
    assert last["role"] == "user"
    assert last["content"][-1]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_conversation_is_compacted(codex: Codex) -> None:
    """Each answer tells of more tokens than the limit, so Codex asks for a summary before it goes on."""
    codex.answers(call("exec_command", {"cmd": "true"}), {"text": ["A summary."]}, ANSWER)
    run = codex.exec("Run it.", model_auto_compact_token_limit=500)

    assert run.text == TEXT
    compaction = [chat for chat in codex.chats if "tools" not in chat]
    assert len(compaction) == 1
    assert "A summary." in json.dumps(codex.chats[-1]["messages"])


def test_a_used_up_quota_is_told_and_not_retried(codex: Codex) -> None:
    codex.answers("insufficient_quota_daily")
    run = codex.exec("Say hello.")

    assert "quota" in run.failure.lower()
    assert len(codex.chats) == 1


def test_a_used_up_quota_is_told_in_a_stream_that_has_begun(codex: Codex) -> None:
    codex.answers(
        {"name": "insufficient_quota_daily", "delay_before_headers_ms": 1000 * (KEEP_ALIVE_SECONDS + 0.6)}
    )
    run = codex.exec("Say hello.")

    assert "quota" in run.failure.lower()
    assert len(codex.chats) == 1


def test_a_rate_limit_is_waited_for_as_long_as_a_stream_that_has_begun_says(codex: Codex) -> None:
    limited = {"name": "rate_limit_exceeded", "headers": {"Retry-After": "6"}}
    codex.answers({**limited, "delay_before_headers_ms": 1000 * (KEEP_ALIVE_SECONDS + 0.6)}, ANSWER)
    run = codex.exec("Say hello.")

    assert run.text == TEXT
    assert run.seconds > 6
    assert len(codex.chats) == 2


def test_a_prompt_that_is_too_long_is_told(codex: Codex) -> None:
    codex.answers({"name": "context_length"})
    run = codex.exec("Say hello.")

    assert "context window" in run.failure
    assert len(codex.chats) == 1


def test_a_broken_stream_is_asked_for_again(codex: Codex) -> None:
    codex.answers({"name": "death_mid_stream"}, ANSWER)
    run = codex.exec("Say hello.")

    assert run.text == TEXT
    assert len(codex.chats) == 2


def test_a_stream_that_always_breaks_is_told_as_broken(codex: Codex) -> None:
    codex.answers(*[{"name": "death_mid_stream"}] * (RETRIES + 1))
    run = codex.exec("Say hello.")

    assert "The connection to Qwen broke" in run.failure
    assert len(codex.chats) == RETRIES + 1


def test_a_silent_qwen_is_waited_for(codex: Codex) -> None:
    codex.answers({"delay_before_first_chunk_ms": 4000, "text": DELTAS})
    run = codex.exec("Say hello.", provider={"stream_idle_timeout_ms": 1500})

    assert run.text == TEXT
    assert len(codex.chats) == 1


def test_the_provider_that_tries_a_websocket_first(codex: Codex) -> None:
    codex.answers(ANSWER)
    run = codex.exec("Say hello.", is_builtin=True, model=OPENAI_MODEL)

    assert run.text == TEXT
    assert run.seconds < 5
    assert len(codex.chats) == 1
    assert codex.worker.log.wait_for("request failed", status=426)


def png() -> bytes:
    """An image of one red point."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
