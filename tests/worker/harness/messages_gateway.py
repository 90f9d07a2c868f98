"""Workers whose only account is asked for Messages in one way, and clients of them.

What the simulated Qwen answers is planned by the request's x-request-id, which reaches it either way.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import anthropic
import httpx
from anthropic import Anthropic

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.recording import ReceivedRequest
from tests.simulator.server import QwenSimulator
from tests.support.messages_grammar import StreamedMessage, read_messages_stream
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker, start_quick_worker

WAYS = ("native", "bridged", "portal")
"""A host that speaks Messages; one that does not; the host of the logins, which does not either."""

MODEL = "qwen3-max"
QUESTION: Any = [{"role": "user", "content": "Say hello."}]
REQUEST: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": QUESTION}
VARIABLES = {"CLIENT_KEYS": CLIENT_KEY, "MODEL_ALIASES": "claude-opus-5-5=qwen3.8-max", "LOG_LEVEL": "debug"}


class Gateway:
    """A Worker whose only account is asked in one way, and clients of it."""

    def __init__(self, way: str, simulator: QwenSimulator, worker: Worker) -> None:
        self.way = way
        self.simulator = simulator
        self.worker = worker
        self.client = Anthropic(base_url=worker.base_url, api_key=CLIENT_KEY, max_retries=0)
        self.key = ""

    def plan(self, fault: Any = None) -> dict[str, str]:
        """The header of a request that meets `fault`."""
        self.key = f"messages-{self.way}-{uuid.uuid4().hex[:8]}"
        self.simulator.faults.plan(self.key, {"then": fault or {}})
        return {"x-request-id": self.key}

    def create(self, fault: Any = None, **fields: Any) -> anthropic.types.Message:
        body: Any = {**REQUEST, **fields}
        message: anthropic.types.Message = self.client.messages.create(**body, extra_headers=self.plan(fault))
        return message

    def stream(self, fault: Any = None, **fields: Any) -> Any:
        return self.client.messages.stream(**{**REQUEST, **fields}, extra_headers=self.plan(fault))

    def post(
        self, body: Any, path: str = "/v1/messages", fault: Any = None, **headers: str
    ) -> httpx.Response:
        """The raw answer to a body; sends `x-api-key` as Claude Code does."""
        given = {"x-api-key": CLIENT_KEY, **self.plan(fault), **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(self.worker.base_url + path, content=content, headers=given, timeout=30)

    def read(self, answer: httpx.Response) -> StreamedMessage:
        """A stream that ends well, checked."""
        read = read_messages_stream(answer.content, is_ours=self.way != "native")
        assert read.error is None
        return read

    @property
    def received(self) -> list[ReceivedRequest]:
        """What the last request led to at Qwen."""
        return self.simulator.find(self.key)


def account(way: str, simulator: QwenSimulator) -> dict[str, str]:
    """The variables of an account that is asked in one way."""
    if way == "portal":
        return {"QWEN_CLI_AUTH": json.dumps(simulator.create_login().credentials())}
    described = {"api_key": DEFAULT_API_KEY, "base_url": simulator.api_url, "messages": way}
    return {"QWEN_API_KEY": json.dumps(described)}


@contextmanager
def gateways(
    simulator: QwenSimulator, start_worker: Callable[[Mapping[str, str]], Worker] = start_quick_worker
) -> Iterator[Callable[[str], Gateway]]:
    """Gives the gateway of a way, which is started when it is first asked for."""
    running: dict[str, Gateway] = {}
    with ExitStack() as cleanup:

        def start(way: str) -> Gateway:
            if way not in running:
                variables = {**VARIABLES, "QWEN_OAUTH_BASE_URL": simulator.url, **account(way, simulator)}
                worker = start_worker(variables)
                cleanup.callback(worker.stop)
                running[way] = Gateway(way, simulator, worker)
                cleanup.callback(running[way].client.close)
            return running[way]

        yield start
