"""LangChain: its standard integration tests for chat models, with ChatAnthropic pointed at the Worker.

As in test_langchain.py, the simulated Qwen is told beforehand what a model would have to understand.
"""

from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from tests.clients.test_langchain import ANSWERS, PIXEL
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.messages_gateway import MODEL, Gateway

pytestmark = [
    # LangChain keeps its asynchronous HTTP client for all models, so it has to stay in one event loop.
    pytest.mark.asyncio(loop_scope="session"),
    # LangChain warns about the deprecated kinds of schema that its own tests use.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


class TestChatAnthropic(ChatModelIntegrationTests):
    """The standard tests; `model` is ChatAnthropic as its users set it up for a gateway."""

    gateway: Gateway

    @pytest.fixture(autouse=True)
    def _environment(
        self, gateway: Gateway, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.gateway = gateway
        gateway.plan()
        gateway.simulator.faults.plan(gateway.key, ANSWERS.get(request.node.originalname, {}))

        def download(url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=PIXEL, request=httpx.Request("GET", url))

        # The tests of pictures download one.
        monkeypatch.setattr(httpx, "get", download)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "base_url": self.gateway.worker.base_url,
            "api_key": CLIENT_KEY,
            "default_headers": {"x-request-id": self.gateway.key},
        }

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> BaseChatModel:
        extra = getattr(request, "param", None) or {}
        return self.chat_model_class(**{**self.chat_model_params, **extra})

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "qwen3-coder-flash"
