"""The public internet as tests see it: every https host is the simulator, which knows it by its name."""

from __future__ import annotations

import http.client
from typing import Any

import pytest


def lead_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on urllib's https connections go to this port of the loopback interface, unencrypted."""

    class Connection(http.client.HTTPConnection):
        def __init__(self, host: str, **options: Any) -> None:
            super().__init__(host, timeout=options.get("timeout", 10.0))

        def connect(self) -> None:
            self.host, self.port, name = "127.0.0.1", port, (self.host, self.port)
            try:
                super().connect()
            finally:
                self.host, self.port = name

    monkeypatch.setattr(http.client, "HTTPSConnection", Connection)
    monkeypatch.setenv("no_proxy", "*")
