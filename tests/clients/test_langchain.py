"""LangChain: its standard integration tests for chat models, with ChatOpenAI pointed at the Worker."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from tests.clients.langchain_standard import ANSWERS, MARKS, StandardTests
from tests.clients.questions import MODEL, simulate
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

pytestmark = MARKS


class TestChatOpenAI(StandardTests):
    """The standard tests; `model` is ChatOpenAI as its users set it up for a gateway."""

    worker: Worker

    @pytest.fixture(autouse=True)
    def _environment(self, worker: Worker) -> None:
        self.worker = worker

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "base_url": self.worker.openai_base_url,
            "api_key": CLIENT_KEY,
            "stream_usage": True,
        }

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> BaseChatModel:
        node = request.node
        answer = ANSWERS.get(node.originalname)
        told = {"extra_body": simulate(f"langchain {node.name}", **answer)} if answer else {}
        extra = getattr(request, "param", None) or {}
        return self.chat_model_class(**{**self.chat_model_params, **told, **extra})

    @property
    def supports_json_mode(self) -> bool:
        return True
