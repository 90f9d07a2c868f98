"""LangChain: its standard integration tests for chat models, with ChatAnthropic pointed at the Worker."""

from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel

from tests.clients.langchain_standard import ANSWERS, MARKS, StandardTests
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.messages_gateway import MODEL, Gateway

pytestmark = MARKS


class TestChatAnthropic(StandardTests):
    """The standard tests; `model` is ChatAnthropic as its users set it up for a gateway."""

    gateway: Gateway

    @pytest.fixture(autouse=True)
    def _environment(self, gateway: Gateway, request: pytest.FixtureRequest) -> None:
        self.gateway = gateway
        gateway.plan()
        gateway.simulator.faults.plan(gateway.key, ANSWERS.get(request.node.originalname, {}))

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
