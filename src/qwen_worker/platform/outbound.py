"""A request to Qwen, as the ports take it."""

from collections.abc import Mapping
from typing import NamedTuple


class OutboundRequest(NamedTuple):
    """A request to Qwen. `body` is sent as it is (UTF-8 bytes)."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
