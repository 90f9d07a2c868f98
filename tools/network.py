"""Loopback helpers for starting servers."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple


class NotReady(RuntimeError):
    """A server did not answer in time, or its process ended."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def port_is_taken(host: str, port: int) -> bool:
    """Tells whether a server cannot listen there because another one does."""
    try:
        with socket.create_server((host, port)):
            return False
    except OSError:
        return True


class Answer(NamedTuple):
    """What a server said: the status and the body as text."""

    status: int
    body: str


def wait_for_answer(url: str, *, timeout_seconds: float, still_running: Callable[[], bool]) -> Answer:
    """The first answer from `url`, whatever its status. Raises NotReady."""
    deadline = time.monotonic() + timeout_seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if not still_running():
            raise NotReady(f"the server ended before {url} answered")
        try:
            with opener.open(url, timeout=max(0.1, deadline - time.monotonic())) as response:
                return Answer(response.status, response.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(errors="replace"))
        except OSError:
            time.sleep(0.05)
    raise NotReady(f"{url} did not answer within {timeout_seconds:g} s")
