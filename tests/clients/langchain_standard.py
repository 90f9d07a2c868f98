"""LangChain's standard integration tests for chat models, as they run against the simulated Qwen.

They are made for real models. Where a model would have to understand the question, the simulated Qwen is told
its answer before (ANSWERS).
"""

import base64
from typing import Any

import httpx
import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

MARKS = [
    # LangChain keeps its asynchronous HTTP client for all models, so it has to stay in one event loop.
    pytest.mark.asyncio(loop_scope="session"),
    # LangChain warns about the deprecated kinds of schema that its own tests use.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


def _call(name: str, arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


MAGIC_CALL = _call("magic_function", '{"input": 3}')
ANSWERS: dict[str, dict[str, Any]] = {
    "test_tool_calling": MAGIC_CALL,
    "test_tool_calling_async": MAGIC_CALL,
    "test_agent_loop": {
        "sequence": [_call("get_weather", '{"location": "San Francisco, CA"}')],
        "then": {"text": ["It is", " sunny."]},
    },
    "test_unicode_tool_call_integration": {
        "sequence": [_call("unicode_customer", '{"customer_name": "你好啊集团", "description": "科技"}')],
        "then": _call("unicode_customer", '{"customer_name": "こんにちは株式会社", "description": "会社"}'),
    },
    "test_json_mode": {"text": ['{"setup": "Why did the cat', ' sit?", "punchline": "It was tired."}']},
}
"""What Qwen answers in these tests, as a fault of the simulator; in the others its own words do."""


class StandardTests(ChatModelIntegrationTests):
    """What both classes of models can do through the Worker."""

    @pytest.fixture(autouse=True)
    def _offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tests of pictures download one."""

        def download(url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=PIXEL, request=httpx.Request("GET", url))

        monkeypatch.setattr(httpx, "get", download)

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
