"""A page in headless Chromium that uses the OpenAI SDK from another origin: CORS, with and without a key."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.clients.chromium import ARGUMENTS, CHROMIUM, NO_CHROMIUM
from tests.clients.node_clients import NODE_PROJECT
from tests.clients.questions import DELTAS, MODEL, QUESTION, TEXT, simulate
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)


def test_lists_models_and_streams_a_chat(worker: Worker) -> None:
    page = chat_in_browser(worker, CLIENT_KEY, **simulate(text=DELTAS, chunk_delay_ms=50))

    assert page["console"] == []
    assert MODEL in page["models"]
    assert page["text"] == TEXT
    assert page["seconds"] >= 0.2, "the stream came as a whole"
    assert page["requestID"], "the page may not read x-request-id"


def test_without_a_key(open_worker: Worker) -> None:
    page = chat_in_browser(open_worker, "none", **simulate(text=DELTAS))

    assert page["console"] == []
    assert page["text"] == TEXT


def test_is_told_of_a_wrong_key(worker: Worker) -> None:
    error = chat_in_browser(worker, "another-key")["error"]

    assert (error["class"], error["status"], error["code"]) == ("AuthenticationError", 401, "invalid_api_key")
    assert error["requestID"]


def test_is_told_of_an_error_of_qwen(worker: Worker) -> None:
    error = chat_in_browser(worker, CLIENT_KEY, **simulate(name="context_length"))["error"]

    assert (error["status"], error["code"]) == (400, "context_length_exceeded")


def test_is_told_of_a_broken_stream(worker: Worker) -> None:
    error = chat_in_browser(worker, CLIENT_KEY, **simulate(name="death_mid_stream"))["error"]

    assert error["code"] == "stream_failed"


def test_preflight_is_answered_without_a_key(worker: Worker) -> None:
    asked = "authorization, content-type, x-stainless-arch, x-stainless-helper-method"
    response = httpx.options(
        f"{worker.openai_base_url}/chat/completions",
        headers={
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": asked,
        },
    )

    assert response.is_success
    assert response.headers["access-control-allow-headers"] == asked
    assert "POST" in response.headers["access-control-allow-methods"]


def chat_in_browser(worker: Worker, key: str, **request: Any) -> Any:
    """What the page reports after listing the models and streaming an answer to QUESTION, and, as `console`,
    what the browser had to complain about.
    """
    parameters = {
        "baseURL": worker.openai_base_url,
        "apiKey": key,
        "model": MODEL,
        "request": {"messages": QUESTION, **request},
    }
    complaints: list[str] = []
    with another_origin() as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(origin)
        page.wait_for_function("globalThis.chat !== undefined", timeout=10_000)
        result = page.evaluate("(given) => globalThis.chat(given)", parameters)
        browser.close()
    return {"console": complaints, **result}


class _Files(SimpleHTTPRequestHandler):
    """Serves page.html and the modules of openai-node."""

    def translate_path(self, path: str) -> str:
        if path == "/":
            return str(NODE_PROJECT / "page.html")
        return super().translate_path(path)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def another_origin() -> Iterator[str]:
    """A file server on a free port, for the length of a `with` block."""

    def serve(*arguments: Any) -> _Files:
        return _Files(*arguments, directory=str(NODE_PROJECT / "node_modules" / "openai"))

    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
