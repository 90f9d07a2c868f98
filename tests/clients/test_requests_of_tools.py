"""The requests of tools that cannot run here (editors, chat servers), in the shapes that their sources show.

Each test sends what the tool sends and reads the answer as the tool reads it. The sources are named in
docs/clients.md.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.questions import DELTAS, MODEL, TEXT, WEATHER_TOOL, simulate, weather_arguments
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

BEARER = {"Authorization": f"Bearer {CLIENT_KEY}"}

OPEN_WEBUI = {
    "User-Agent": "Python/3.11 aiohttp/3.13.2",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br",
    "X-OpenWebUI-User-Name": "Ada%20Lovelace",
    "X-OpenWebUI-User-Id": "6b1f0a52",
    "X-OpenWebUI-User-Email": "ada@example.com",
    "X-OpenWebUI-User-Role": "admin",
}
AXIOS = {
    "User-Agent": "axios/1.13.2",
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, compress, deflate, br",
}
OPENAI_NODE = {
    "User-Agent": "OpenAI/JS 5.12.2",
    "Accept": "application/json",
    "X-Stainless-Retry-Count": "0",
    "X-Stainless-Timeout": "600",
    "X-Stainless-Lang": "js",
    "X-Stainless-Package-Version": "5.12.2",
    "X-Stainless-OS": "Linux",
    "X-Stainless-Arch": "x64",
    "X-Stainless-Runtime": "node",
    "X-Stainless-Runtime-Version": "v22.19.0",
}
ROO = {
    **OPENAI_NODE,
    "HTTP-Referer": "https://github.com/RooVetGit/Roo-Cline",
    "X-Title": "Roo Code",
    "User-Agent": "RooCode/3.36.0",
}
CALL = {"name": "get_weather", "arguments": weather_arguments("Paris")}


# --- Open WebUI


def test_open_webui_finds_the_models(worker: Worker) -> None:
    response = httpx.get(f"{worker.openai_base_url}/models", headers={**OPEN_WEBUI, **BEARER}, timeout=5)

    listed = response.json()
    assert isinstance(listed["data"], list)
    assert MODEL in [model["id"] for model in listed["data"]]
    assert "error" not in listed


def test_open_webui_chats(worker: Worker) -> None:
    body = {
        "stream": True,
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": [{"type": "text", "text": "Say hello."}]},
        ],
        "temperature": 0.8,
        "stream_options": {"include_usage": True},
        **simulate(text=DELTAS),
    }
    with _post(worker, body, OPEN_WEBUI) as response:
        # Anything else Open WebUI reads as one JSON document.
        assert "text/event-stream" in response.headers["content-type"]
        events = list(_data(response))

    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    # It reads `choices` of a chunk if there are any, and otherwise `usage`.
    assert _text(chunks) == TEXT
    assert chunks[-1]["usage"]["prompt_tokens"] > 0


def test_open_webui_asks_for_a_title(worker: Worker) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "### Task:\nGenerate a concise, 3-5 word title."}],
        "stream": False,
        "max_completion_tokens": 1000,
        **simulate(text=['{"title": "A greeting"}']),
    }
    with _post(worker, body, OPEN_WEBUI) as response:
        title = json.loads(response.read())["choices"][0]["message"]["content"]

    assert json.loads(title) == {"title": "A greeting"}


def test_open_webui_shows_an_error(worker: Worker) -> None:
    body = {"stream": True, "model": MODEL, "messages": [], **simulate()}
    with _post(worker, body, OPEN_WEBUI) as response:
        error = json.loads(response.read())["error"]

    assert response.status_code == 400
    assert error["message"]


# --- Cline and Roo Code


@pytest.mark.parametrize("headers", [AXIOS, ROO], ids=["Cline", "Roo Code"])
@pytest.mark.parametrize("slash", ["", "/"], ids=["", "base URL with a slash"])
def test_editors_find_the_models(worker: Worker, headers: dict[str, str], slash: str) -> None:
    response = httpx.get(f"{worker.openai_base_url}{slash}/models", headers={**headers, **BEARER})

    assert MODEL in {model["id"] for model in response.json()["data"]}


def test_cline_calls_a_tool(worker: Worker) -> None:
    body = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are Cline."},
            {"role": "user", "content": [{"type": "text", "text": "<task>The weather</task>"}]},
        ],
        "temperature": 0,
        "max_tokens": 8192,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [WEATHER_TOOL],
        **simulate(reasoning=["Let me see."], text=["I shall look."], tool_calls=[CALL]),
    }
    with _post(worker, body, OPENAI_NODE) as response:
        chunks = [json.loads(event) for event in _data(response) if event != "[DONE]"]

    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"][:1]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "I shall look."
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Let me see."
    fragments = [fragment for delta in deltas for fragment in delta.get("tool_calls") or []]
    assert [fragment["function"]["name"] for fragment in fragments if fragment["function"].get("name")] == [
        "get_weather"
    ]
    assert all(isinstance(fragment["index"], int) for fragment in fragments)
    assert [chunk["usage"]["prompt_tokens"] for chunk in chunks if chunk.get("usage")]


def test_roo_code_calls_a_tool(worker: Worker, simulator: QwenSimulator) -> None:
    marked = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": MODEL,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "You are Roo.", **marked}]},
            {"role": "user", "content": [{"type": "text", "text": "The weather", **marked}]},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [WEATHER_TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "max_completion_tokens": 32_768,
        **simulate("roo", tool_calls=[CALL]),
    }
    with _post(worker, body, ROO) as response:
        chunks = [json.loads(event) for event in _data(response) if event != "[DONE]"]

    # Roo Code closes a tool call only on this reason.
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["tool_calls"]
    fragments = [f for chunk in chunks for c in chunk["choices"] for f in c["delta"].get("tool_calls") or []]
    assert json.loads("".join(f["function"].get("arguments") or "" for f in fragments))["city"] == "Paris"
    (received,) = simulator.find("roo")
    assert isinstance(received.body, dict)
    assert received.body["max_tokens"] == 32_768


def test_a_conversation_with_tool_results(worker: Worker, simulator: QwenSimulator) -> None:
    """As both send it on: the assistant's turn has no text, or an empty one."""
    for content in ({"content": None}, {"content": ""}, {}):
        key = f"turns-{content}"
        call = {"id": "call_1", "type": "function", "function": CALL}
        body = {
            "model": MODEL,
            "messages": [
                {"role": "user", "content": "The weather?"},
                {"role": "assistant", **content, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
            ],
            "stream": True,
            "tools": [WEATHER_TOOL],
            **simulate(key),
        }
        with _post(worker, body, OPENAI_NODE) as response:
            assert "21 degrees" in _text(
                [json.loads(event) for event in _data(response) if event != "[DONE]"]
            )
        assert [received.status for received in simulator.find(key)] == [200]


# --- Continue


def test_continue_chats(worker: Worker) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 4096,
        "stream": True,
        "stream_options": {"include_usage": True},
        **simulate(text=DELTAS),
    }
    headers = {"Accept": "application/json", "x-api-key": CLIENT_KEY, "User-Agent": "node-fetch"}
    with _post(worker, body, headers) as response:
        chunks = [json.loads(event) for event in _data(response) if event != "[DONE]"]

    assert _text(chunks) == TEXT


def test_continue_autocompletes(worker: Worker) -> None:
    """Its autocomplete wants the legacy completions API."""
    body = {"model": MODEL, "prompt": "def f(", "suffix": ")", "stream": True, **simulate(text=DELTAS)}
    request = httpx.post(
        f"{worker.openai_base_url}/completions", headers={**OPENAI_NODE, **BEARER}, json=body
    )

    chunks = [json.loads(line[6:]) for line in request.text.split("\n\n") if line.startswith("data: {")]
    assert request.status_code == 200
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == TEXT


# --- Cursor, Qwen Code, opencode and others


@pytest.mark.parametrize("stream", [True, False])
def test_cursor_sends_a_responses_body(worker: Worker, stream: bool) -> None:
    body = {
        "model": MODEL,
        "stream": stream,
        "input": [
            {"role": "system", "content": "You are Cursor."},
            {"role": "user", "content": [{"type": "input_text", "text": "Say hello."}]},
        ],
        "tools": [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}],
        "store": False,
        **simulate(text=DELTAS, tool_calls=[]),
    }
    with _post(worker, body, {"User-Agent": "Go-http-client/2.0"}) as response:
        if stream:
            text = _text([json.loads(event) for event in _data(response) if event != "[DONE]"])
        else:
            text = json.loads(response.read())["choices"][0]["message"]["content"]

    assert text == TEXT


def test_qwen_code_sends_text_in_parts(worker: Worker, simulator: QwenSimulator) -> None:
    parts = [{"type": "text", "text": f"Part {number}."} for number in range(5)]
    body = {
        "model": "coder-model",
        "messages": [{"role": "system", "content": "You are Qwen Code."}, {"role": "user", "content": parts}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "top_p": 1,
        "tools": [WEATHER_TOOL],
        **simulate("qwen-code", text=DELTAS),
    }
    with _post(worker, body, {**OPENAI_NODE, "User-Agent": "QwenCode/0.24.4 (linux; x64)"}) as response:
        assert _text([json.loads(event) for event in _data(response) if event != "[DONE]"]) == TEXT

    (received,) = simulator.find("qwen-code")
    assert isinstance(received.body, dict)
    sent = json.dumps(received.body["messages"])
    assert all(part["text"] in sent for part in parts)


def test_opencode_asks_for_a_title_beside_the_chat(worker: Worker) -> None:
    body = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a title generator."},
            {"role": "user", "content": "Generate a title:\n"},
            {"role": "user", "content": "Say hello."},
        ],
        "max_tokens": 32_000,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tool_choice": "auto",
        "tools": [],
        **simulate(text=["A", " title"]),
    }
    with _post(worker, body, {"User-Agent": "opencode/1.0.0 ai-sdk/openai-compatible"}) as response:
        assert _text([json.loads(event) for event in _data(response) if event != "[DONE]"]) == "A title"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Authorization": "Bearer undefined"}, id="undefined"),
        pytest.param({"Authorization": "Bearer not-provided"}, id="not-provided"),
        pytest.param({"Authorization": "Bearer"}, id="empty"),
        pytest.param({"api-key": "none"}, id="Azure"),
        pytest.param({}, id="nothing"),
    ],
)
@pytest.mark.parametrize("path", ["models", "chat/completions"])
def test_placeholder_keys(worker: Worker, headers: dict[str, str], path: str) -> None:
    method = "GET" if path == "models" else "POST"
    response = httpx.request(method, f"{worker.openai_base_url}/{path}", headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("header", ["api-key", "x-api-key"])
def test_keys_in_other_headers(worker: Worker, header: str) -> None:
    assert httpx.get(f"{worker.openai_base_url}/models", headers={header: CLIENT_KEY}).status_code == 200


def _post(worker: Worker, body: dict[str, Any], headers: dict[str, str]) -> Any:
    authorization = {} if "x-api-key" in headers else BEARER
    url = f"{worker.openai_base_url}/chat/completions"
    return httpx.stream("POST", url, json=body, headers={**headers, **authorization}, timeout=20)


def _data(response: httpx.Response) -> Iterator[str]:
    assert response.status_code == 200
    for line in response.iter_lines():
        assert not line or line.startswith((":", "data: ")), "no tool reads other lines"
        if line.startswith("data: "):
            yield line.removeprefix("data: ")


def _text(chunks: list[dict[str, Any]]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices") or []
    )
