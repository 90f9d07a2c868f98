"""What a path leads to, the page or the Worker: HTML for people, JSON for clients, never both."""

import httpx
import pytest

from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

NAVIGATION = {"accept": "text/html,*/*", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FILES = {
    "/": "text/html",
    "/page/main.js": "javascript",
    "/page/style.css": "text/css",
    "/page/icon.svg": "image/svg+xml",
    "/page/built/uplot.js": "javascript",
    "/page/built/uplot.css": "text/css",
    "/page/built/snippets.json": "application/json",
}


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_page_is_served_in_front_of_the_worker(worker: Worker, method: str, path: str) -> None:
    response = httpx.request(method, worker.base_url + path)

    assert response.status_code == 200
    assert FILES[path] in response.headers["content-type"]
    assert response.headers["etag"]
    assert "x-request-id" not in response.headers, "the Worker was asked"


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
def test_the_page_takes_no_other_method(worker: Worker, method: str) -> None:
    response = httpx.request(method, worker.base_url)

    assert (response.status_code, response.content) == (405, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1", 200),
        ("/v1/", 200),
        ("/v1/models", 200),
        ("/models", 200),
        ("//v1//models", 200),
        ("/health", 200),
        ("/health/", 200),
        ("/V1/models", 404),
        ("/usage", 200),
        ("/nothing", 404),
        ("/page", 404),
        ("/page/nothing.js", 404),
        ("/page/main", 404),
    ],
)
def test_every_other_path_is_the_workers(worker: Worker, path: str, status: int) -> None:
    """A browser that is sent there gets JSON too."""
    headers = {**NAVIGATION, "authorization": f"Bearer {CLIENT_KEY}"}
    response = httpx.get(worker.base_url + path, headers=headers)

    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert response.headers["x-request-id"]
    assert response.json()


@pytest.mark.parametrize("path", ["/v1", "/v1/chat/completions", "/health", "/nothing"])
def test_every_other_path_answers_preflights(worker: Worker, path: str) -> None:
    response = httpx.options(worker.base_url + path, headers=NAVIGATION)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
