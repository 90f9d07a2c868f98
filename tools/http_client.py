"""HTTP requests of the tools, with the standard library: they need nothing installed but Python."""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TIMEOUT_SECONDS = 20.0
_LONGEST_BODY = 4_000_000

T = TypeVar("T")

Headers = Any
"""Looks up a header whatever its case: `headers.get(name)`."""


class Answer(NamedTuple):
    """A status, the body as text, and the headers."""

    status: int
    text: str
    headers: Headers

    @property
    def body(self) -> Any:
        """The JSON body; None if it is none."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    def header(self, name: str) -> str | None:
        """A header, by its name in any case."""
        value: str | None = self.headers.get(name)
        return value


class Piece(NamedTuple):
    """Bytes of a body, and the seconds that they came after the request."""

    seconds: float
    data: bytes


class Unreachable(Exception):
    """No HTTP answer. The message says why, and holds no secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the key must not follow it to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never goes on."""


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """The answer to a request, whatever its status. Raises Unreachable."""

    def read(response: Any) -> Answer:
        return Answer(
            response.status, response.read(_LONGEST_BODY).decode("utf-8", "replace"), response.headers
        )

    return _sent(url, method, headers, body, timeout_seconds, read)


def ask_for_stream(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> tuple[Answer, list[Piece]]:
    """The answer to a request, and when each piece of its body came. Raises Unreachable."""
    began = time.monotonic()

    def read(response: Any) -> tuple[Answer, list[Piece]]:
        pieces = list(_pieces(response, began))
        text = b"".join(piece.data for piece in pieces).decode("utf-8", "replace")
        return Answer(response.status, text, response.headers), pieces

    return _sent(url, method, headers, body, timeout_seconds, read)


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_in_the_clear(url: str) -> bool:
    """Whether others could read a key on its way to an address."""
    return urlsplit(url).scheme != "https" and not is_loopback(url)


def _pieces(response: Any, began: float) -> Iterator[Piece]:
    size = 0
    while size < _LONGEST_BODY and (data := response.read1(65_536)):
        size += len(data)
        yield Piece(time.monotonic() - began, data)


def _sent(
    url: str,
    method: str,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    timeout_seconds: float,
    read: Callable[[Any], T],
) -> T:
    handlers: list[Any] = [_NoRedirect]
    if is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))
    given = {"accept": "application/json", "user-agent": "qwen-worker-doctor", **(headers or {})}
    try:
        request = urllib.request.Request(url, data=body, headers=given, method=method)
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_seconds) as response:
            return read(response)
    except urllib.error.HTTPError as problem:
        try:
            with problem:
                return read(problem)
        except (OSError, ValueError, http.client.HTTPException) as broken:
            raise Unreachable(type(broken).__name__) from None
    except urllib.error.URLError as problem:
        raise Unreachable(str(problem.reason)) from None
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise Unreachable(type(problem).__name__) from None
