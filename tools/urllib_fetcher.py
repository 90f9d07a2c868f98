"""The Worker's way to the network, on this machine: for tools that use the Worker's own protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qwen_worker.platform.ports import FetchError
from tools.http_client import Answer, Unreachable, ask

if TYPE_CHECKING:
    from qwen_worker.platform.ports import Fetcher, OutboundRequest


def urllib_fetcher() -> Fetcher:
    """A fetcher for whole answers, of which it has status, header and text."""
    return cast("Fetcher", _UrllibFetcher())


class _UrllibFetcher:
    async def fetch(self, request: OutboundRequest, *, timeout_ms: int) -> _WholeAnswer:
        """Blocks until the answer is whole. Raises FetchError."""
        try:
            answer = ask(
                request.url,
                method=request.method,
                headers=request.headers,
                body=request.body,
                timeout_seconds=timeout_ms / 1000,
            )
        except Unreachable as problem:
            raise FetchError(str(problem)) from None
        return _WholeAnswer(answer)


class _WholeAnswer:
    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.header = answer.header
        self._text = answer.text

    async def text(self, limit_bytes: int = 65_536) -> str:
        return self._text[:limit_bytes]
