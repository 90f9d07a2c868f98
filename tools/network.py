"""Loopback helpers for starting servers."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable


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


def wait_until_answering(url: str, *, timeout_seconds: float, still_running: Callable[[], bool]) -> None:
    """Returns when `url` answers, whatever the status. Raises NotReady."""
    deadline = time.monotonic() + timeout_seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if not still_running():
            raise NotReady(f"the server ended before {url} answered")
        try:
            with opener.open(url, timeout=max(0.1, deadline - time.monotonic())):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise NotReady(f"{url} did not answer within {timeout_seconds:g} s")
